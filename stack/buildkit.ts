import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baseImageNamespace } from '../domain/instance.ts';
import { limits } from '../domain/limits.ts';
import { tryCommand } from './command.ts';
import type { Part } from './supervisor.ts';

/** A socket's path may hold 107 bytes and no more. */
const SOCKET_PATH_BYTES = 107;

export interface BuildkitOptions {
  readonly buildkitd: string;
  readonly buildctl: string;
  readonly folder: string;
  /** Plain-HTTP registries on loopback, as `host:port`; the first holds the base images and answers for docker.io. */
  readonly registries: readonly [string, ...string[]];
}

/** One buildkitd for all builds, with its own root and socket; needs root, runc and the CNI plug-ins. */
export function buildkitPart(options: BuildkitOptions): Part {
  const configFile = join(options.folder, 'buildkitd.toml');
  const address = buildkitAddress(options.folder);
  return {
    name: 'buildkitd',
    program: {
      command: options.buildkitd,
      // Its own bounds are for people who watch a terminal: 2 MiB of a step, 200 KiB a second. Ours are the log's.
      env: { BUILDKIT_STEP_LOG_MAX_SIZE: String(limits.logBytes), BUILDKIT_STEP_LOG_MAX_SPEED: '-1' },
      args: [
        ...['--root', stateFolder(options.folder), '--addr', address, '--config', configFile],
        ...['--oci-worker-snapshotter', 'overlayfs'],
        // A step gets its own network; without CNI it would share the host's and reach every server on loopback.
        ...['--oci-worker-net', 'bridge', '--oci-cni-binary-dir', '/usr/lib/cni'],
      ],
    },
    prepare: async () => {
      await mkdir(stateFolder(options.folder), { recursive: true });
      await rm(socketPath(options.folder), { force: true });
      await removeLeftovers(options.folder);
      await writeFile(configFile, configuration(options.registries));
    },
    isReady: async () => (await tryCommand(options.buildctl, ['--addr', address, 'debug', 'workers'])).isOk,
    readyWithinMs: 30_000,
    stopWithinMs: 10_000,
    cleanUp: () => removeLeftovers(options.folder),
  };
}

/** The daemon's address for buildctl. */
export function buildkitAddress(folder: string): string {
  return `unix://${socketPath(folder)}`;
}

function socketPath(folder: string): string {
  const path = join(folder, 'bk.sock');
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES) return path;
  return join(tmpdir(), `slipway-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}.sock`);
}

function stateFolder(folder: string): string {
  return join(folder, 'state');
}

function configuration([baseImages, ...others]: BuildkitOptions['registries']): string {
  return `insecure-entitlements = []
[worker.oci]
max-parallelism = 2
gc = true
reservedSpace = "2GB"
maxUsedSpace = "10GB"
minFreeSpace = "5GB"
[worker.containerd]
enabled = false
[frontend."gateway.v0"]
enabled = false
[registry."docker.io"]
mirrors = ["${baseImages}/${baseImageNamespace}"]
${[baseImages, ...others].map((host) => `[registry."${host}"]\nhttp = true\n`).join('')}`;
}

/** Containers and mounts a daemon leaves when it is killed; the folder could not be removed with them. */
async function removeLeftovers(folder: string): Promise<void> {
  const root = ['--root', join(stateFolder(folder), 'runc-overlayfs', 'executor', 'runc')];
  const list = await tryCommand('runc', [...root, 'list', '-q']);
  for (const id of list.stdout.split('\n').filter(Boolean))
    await tryCommand('runc', [...root, 'delete', '--force', id]);
  for (const mount of (await mountsUnder(folder)).toReversed()) await tryCommand('umount', ['--lazy', mount]);
}

/** Mount points below a folder, outermost first. Field 5 of a line, with octal escapes for spaces. */
async function mountsUnder(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const points = lines.map((line) => line.split(' ')[4] ?? '');
  const plain = points.map((point) =>
    point.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
  );
  return plain.filter((point) => point.startsWith(`${folder}/`));
}
