#!/bin/sh
# mmdebstrap runs this last, with the new root file system as $1: what belongs to the building machine goes. The mirrors stay, so
# that a build in a closed network reaches the same ones.
set -eu
root=$1
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/resolv.conf" "$root/etc/hostname"
# apt makes its folders again when it needs them; who owns them here would depend on where the tree was made.
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/cache/ldconfig/aux-cache
rm -f "$root"/var/lib/dpkg/*-old "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow-
find "$root/var/log" -type f -delete
