import { createHash } from 'node:crypto';
import { mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Architecture } from '../../domain/build.ts';
import { limits } from '../../domain/limits.ts';
import { createBuildCgroup, type BuildCgroup } from './build-cgroup.ts';
import { cniConfig, daemonConfig, type BuildRegistry } from './build-daemon-config.ts';
import { gatewayAddress, openBuildNetwork, type Door } from './build-network.ts';
import { dnsAnswer } from './dns-answer.ts';
import { createBuildkit, type Buildkit } from './buildkit.ts';
import { startDaemon, type DaemonProcess } from './process-daemon.ts';
import type { ProcessFailed } from './process.ts';

/** A socket's path may hold 107 bytes and no more. */
const socketPathBytes = 107;
const proxyPort = 3128;
/** The daemon's own proxy: on its loopback, which no step reaches, at an address that no registry has. */
const daemonProxyAddress = '127.255.255.254';
const readyWithinMs = 30_000;
const stopWithinMs = 5_000;
/** Files that steps write may be as large as an image: a sparse file of terabytes is none. */
const fileSizeLimit = `fsize=${limits.buildImageBytes}:${limits.buildImageBytes}`;

/** What every daemon of one worker is made of. */
export interface DaemonTools {
  readonly buildkitd: string;
  readonly buildctl: string;
  /** Folder of the CNI plug-ins. */
  readonly cniPlugins: string;
  /** Takes what steps send to their HTTP proxy, and to port 80 of what they take for any host. */
  readonly stepProxy: (socket: Socket) => void;
  /** The same for port 443. */
  readonly stepTlsGate: (socket: Socket) => void;
  /** The same for what the daemon itself pulls, pushes and adds. */
  readonly daemonProxy: (socket: Socket) => void;
  /** Connects a socket to a registry that listens on this machine's loopback. */
  readonly relay: (socket: Socket, target: { readonly host: string; readonly port: number }) => void;
}

export interface BuildDaemonInput {
  readonly tools: DaemonTools;
  /** Everything the daemon keeps: its caches stay in it from one start to the next. */
  readonly folder: string;
  /** Name of its control groups. */
  readonly cgroup: string;
  readonly registries: readonly BuildRegistry[];
  readonly region: string;
  readonly signal: AbortSignal;
}

/** A running buildkitd in namespaces of its own. */
export interface BuildDaemon {
  readonly buildkit: Buildkit;
  readonly platforms: readonly Architecture[];
  readonly cgroup: BuildCgroup;
  /** What it was started with; another means that it must be started anew. */
  readonly config: string;
  readonly ended: Promise<ProcessFailed>;
  stop(): Promise<void>;
}

/** The configuration a daemon would be started with now. */
export function configOf({ tools, folder, cgroup, registries, region }: Omit<BuildDaemonInput, 'signal'>): string {
  return daemonConfig({
    registries,
    region,
    cniConfig: join(folder, 'network.conflist'),
    cniPlugins: tools.cniPlugins,
    cgroupParent: join('/slipway', cgroup, 'steps'),
  });
}

/**
 * Starts a buildkitd that sees its own processes, mounts and network only; they end with it, however it ends, and it ends with
 * this process. Throws when it does not get ready; then nothing of it is left.
 */
export async function startBuildDaemon(input: BuildDaemonInput): Promise<BuildDaemon> {
  const signal = AbortSignal.any([input.signal, AbortSignal.timeout(readyWithinMs)]);
  const config = configOf(input);
  const address = await prepareFolder(input, config);
  const cgroup = await createBuildCgroup(input.cgroup);
  const daemon = await startDaemon(daemonProgram(input, address));
  const opening = openBuildNetwork(daemon.pid, { doors: doorsOf(input), signal });
  const stop = async (): Promise<void> => {
    await stopDaemon(daemon);
    const network = await opening.catch(() => undefined);
    await network?.close();
    await cgroup.remove();
  };
  try {
    await cgroup.addDaemon(daemon.pid);
    const buildkit = createBuildkit({ buildctl: input.tools.buildctl, address, frontendOptions: stepOptions() });
    const ready = Promise.race([untilReady(buildkit, signal), daemon.ended.then((why) => Promise.reject(why))]);
    const [platforms] = await Promise.all([ready, opening]);
    return { buildkit, platforms, cgroup, config, ended: daemon.ended, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Leaves the state, and nothing else, of an earlier start. */
async function prepareFolder({ folder }: BuildDaemonInput, config: string): Promise<string> {
  const socket = socketPath(folder);
  const addresses = join(folder, 'addresses');
  await mkdir(join(folder, 'state'), { recursive: true, mode: 0o700 });
  await rm(socket, { force: true });
  await rm(addresses, { recursive: true, force: true });
  await writeFile(join(folder, 'buildkitd.toml'), config);
  await writeFile(join(folder, 'network.conflist'), cniConfig({ addresses }));
  return `unix://${socket}`;
}

function socketPath(folder: string): string {
  const path = join(folder, 'bk.sock');
  if (Buffer.byteLength(path) <= socketPathBytes) return path;
  return join(tmpdir(), `slipway-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}.sock`);
}

function daemonProgram({ tools, folder }: BuildDaemonInput, address: string) {
  const proxy = `http://${daemonProxyAddress}:${proxyPort}`;
  return {
    command: 'unshare',
    args: [
      ...['--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--mount-proc', '--'],
      ...[tools.buildkitd, '--root', join(folder, 'state'), '--addr', address],
      ...['--config', join(folder, 'buildkitd.toml')],
    ],
    env: {
      PATH: process.env['PATH'] ?? '',
      HTTP_PROXY: proxy,
      HTTPS_PROXY: proxy,
      // Its own bounds are for people who watch a terminal: 2 MiB of a step, 200 KiB a second. Ours are the log's.
      BUILDKIT_STEP_LOG_MAX_SIZE: String(limits.logBytes),
      BUILDKIT_STEP_LOG_MAX_SPEED: '-1',
    },
  };
}

/** BuildKit keeps these parameters out of the image, its history and its cache keys. */
function stepOptions(): string[] {
  const proxy = `http://${gatewayAddress}:${proxyPort}`;
  return [
    ...['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].map((name) => `build-arg:${name}=${proxy}`),
    ...['NO_PROXY', 'no_proxy'].map((name) => `build-arg:${name}=localhost,127.0.0.1,::1`),
    `ulimit=${fileSizeLimit}`,
  ];
}

function doorsOf({ tools, registries }: BuildDaemonInput): Door[] {
  const own = new Map(registries.flatMap(({ host }) => registryDoor(host, tools)));
  return [
    { name: 'steps', kind: 'tcp', host: gatewayAddress, port: proxyPort, take: tools.stepProxy },
    // For programs that know no proxy: every name is the gateway's, which reads from the connection who was meant.
    { name: 'names', kind: 'udp', host: gatewayAddress, port: 53, answer: (query) => dnsAnswer(query, gatewayAddress) },
    { name: 'http', kind: 'tcp', host: gatewayAddress, port: 80, take: tools.stepProxy },
    { name: 'https', kind: 'tcp', host: gatewayAddress, port: 443, take: tools.stepTlsGate },
    { name: 'daemon', kind: 'tcp', host: daemonProxyAddress, port: proxyPort, take: tools.daemonProxy },
    ...own.values(),
  ];
}

/** Go's HTTP client asks no proxy for names of this machine, so such registries get a door each. */
function registryDoor(registry: string, { relay }: DaemonTools): [string, Door][] {
  const { hostname, port: written } = new URL(`http://${registry}`);
  if (hostname !== 'localhost' && !(isIP(hostname) === 4 && hostname.startsWith('127.'))) return [];
  const port = Number(written || 80);
  const host = hostname === 'localhost' ? '127.0.0.1' : hostname;
  const name = `registry ${host}:${port}`;
  return [[name, { name, kind: 'tcp', host, port, take: (socket) => relay(socket, { host: hostname, port }) }]];
}

async function untilReady(buildkit: Buildkit, signal: AbortSignal): Promise<readonly Architecture[]> {
  for (;;) {
    try {
      return await buildkit.platforms({ signal });
    } catch (error) {
      if (signal.aborted) throw new Error('The build daemon was not ready in time.', { cause: error });
      await delay(25, undefined, { signal });
    }
  }
}

/** The daemon is the only child of `unshare`, which would ignore the signal. */
async function stopDaemon(daemon: DaemonProcess): Promise<void> {
  const children = await readFile(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').catch(() => '');
  const inner = Number(children.trim());
  const isInner = inner > 0 && (await readlink(`/proc/${inner}/exe`).catch(() => '')) !== '';
  await daemon.stop({ graceMs: stopWithinMs, askToEnd: () => (isInner ? process.kill(inner, 'SIGTERM') : undefined) });
}
