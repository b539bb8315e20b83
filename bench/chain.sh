#!/bin/sh
# What a run of the sample's chain does, by the bare tools: the script a careful team would have instead of Slipway.
# Prints the digest of the image. Everything it needs comes in its environment.
set -eu
git -c http.extraHeader="$GIT_HEADER" clone --quiet --depth 1 --branch "$BRANCH" "$GIT_URL" "$WORK/source"
cache=$REGISTRY/slipway-cache/script:$BRANCH
"$BUILDCTL" --addr "$BUILDKIT_ADDRESS" build --progress quiet \
  --frontend dockerfile.v0 --opt cmdline=dockerfile.v0 --opt filename=Dockerfile \
  --opt platform=linux/amd64,linux/arm64 \
  --local context="$WORK/source" --local dockerfile="$WORK/source" \
  --import-cache "type=registry,ref=$cache" \
  --export-cache "type=registry,ref=$cache,mode=max,image-manifest=true,ignore-error=true" \
  --output "type=image,name=$REGISTRY/$REPOSITORY:$TAG,push=true,oci-mediatypes=true" \
  --metadata-file "$WORK/metadata.json"
digest=$(sed -n 's/.*"containerimage.digest": "\([^"]*\)".*/\1/p' "$WORK/metadata.json")

for platform in linux/amd64 linux/arm64; do
  report="$WORK/report-$(basename "$platform").json"
  "$TRIVY" image --image-src remote --platform "$platform" --scanners vuln --format json --list-all-pkgs --output "$report" \
    --quiet --skip-db-update --skip-java-db-update --skip-check-update --offline-scan --skip-version-check \
    --disable-telemetry --cache-dir "$TRIVY_CACHE" --cache-backend memory "$REGISTRY/$REPOSITORY@$digest"
  "$TRIVY" convert --quiet --format cyclonedx --output "$report.cdx.json" "$report"
  if grep -qE '"Severity": "(HIGH|CRITICAL)"' "$report"; then
    echo "$platform is vulnerable" >&2
    exit 1
  fi
done

skopeo copy --all --quiet --src-tls-verify=false --dest-tls-verify=false --authfile "$DOCKER_CONFIG/config.json" \
  "docker://$REGISTRY/$REPOSITORY@$digest" "docker://$DESTINATION/$REPOSITORY:$TAG"
curl --silent --show-error --fail --output /dev/null --header 'content-type: application/json' \
  --data "{\"type\":\"image.updated\",\"data\":{\"digest\":\"$digest\"}}" "$RECEIVER_URL/script"
echo "$digest"
