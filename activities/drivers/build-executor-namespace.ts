import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailed } from '../../domain/build-error.ts';
import { diskFullProblem, outOfMemoryProblem, tooManyProcessesProblem } from '../../domain/build-limits.ts';
import { limits as productLimits } from '../../domain/limits.ts';
import { sweepBuildCgroups } from './build-cgroup.ts';
import { configOf, startBuildDaemon, type BuildDaemon, type DaemonTools } from './build-daemon.ts';
import type { BuildRegistry } from './build-daemon-config.ts';
import type { BuildExecutor, BuildLease, BuildLimits, LeaseRequest } from './build-executor.ts';
import { claimFolder, folderName, isDiskFull, noteUse, pruneFolders, slotFolder } from './build-folders.ts';
import { createBuildSlots, type BuildSlot } from './build-slots.ts';
import type { BuiltImage, ImageBuildInput } from './buildkit.ts';
import { ProcessFailed } from './process.ts';

export interface NamespaceExecutorOptions {
  readonly tools: DaemonTools;
  /** Everything the daemons keep, in a folder per namespace; this worker's alone. */
  readonly folder: string;
  /** The registries of all instances, asked for at each build. */
  readonly registries: () => Promise<readonly BuildRegistry[]>;
  /** Builds that run at once; further ones wait in the order they came. */
  readonly maxBuilds: number;
  /** An idle daemon is stopped after this time, but for the one that worked last: it saves the next build its start. */
  readonly idleMs: number;
  /** Below this much free disk, caches of namespaces that build nothing are dropped, least recently used first. */
  readonly minFreeBytes: number;
  readonly clock: () => Date;
  /** Something an administrator should know; no error of a build. */
  readonly onEvent: (text: string, details: Readonly<Record<string, unknown>>) => void;
}

/** What is known of a slot. */
interface Home {
  readonly slot: BuildSlot;
  readonly folder: string;
  readonly cgroup: string;
  daemon: BuildDaemon | undefined;
  /** The daemon, as soon as it may work for the build that has the slot. */
  ready: Promise<BuildDaemon> | undefined;
  /** Until then no other daemon may have the folder. */
  stopped: Promise<void>;
  usedAt: number;
  /** A build in it ended because the disk was full. */
  isFull: boolean;
}

/**
 * Level C of docs/isolation.md: a daemon per namespace, one build at a time with all its architectures together. A second build
 * of a namespace meanwhile gets a second daemon, with caches of its own.
 * @throws a sentence when this machine lacks what that needs, or another worker has the folder
 */
export async function createNamespaceExecutor(options: NamespaceExecutorOptions): Promise<BuildExecutor> {
  const { folder, tools, onEvent } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const giveBack = await claimFolder(folder);
  const cgroups = folderName(folder);
  await sweepBuildCgroups(cgroups);
  const closing = new AbortController();
  const slots = createBuildSlots({ maxTaken: options.maxBuilds });
  const homes = new Map<BuildSlot, Home>();
  let idleTimer: NodeJS.Timeout | undefined;

  function homeOf(slot: BuildSlot): Home {
    const known = homes.get(slot);
    if (known !== undefined) return known;
    const cgroup = join(cgroups, `${slot.namespaceId}-${slot.index}`);
    const unused = { daemon: undefined, ready: undefined, stopped: Promise.resolve(), usedAt: 0, isFull: false };
    const home = { slot, folder: slotFolder(folder, slot), cgroup, ...unused };
    homes.set(slot, home);
    return home;
  }

  async function makeReady(home: Home, { region, limits }: LeaseRequest): Promise<BuildDaemon> {
    const registries = await options.registries();
    const { folder: own, cgroup } = home;
    const input = { tools, folder: own, cgroup, registries, region, signal: closing.signal };
    // Its configuration is read at its start only: an instance that came since would be unknown to it.
    if (home.daemon !== undefined && home.daemon.config !== configOf(input)) await stop(home);
    await home.stopped;
    if (home.daemon === undefined) {
      await makeRoom(home);
      home.daemon = await startBuildDaemon(input).catch((error: unknown) => startAnew(error, input));
      watch(home, home.daemon);
    }
    await home.daemon.cgroup.begin(limits);
    return home.daemon;
  }

  /** Caches that a daemon cannot read are worth nothing; all else that keeps it from starting is told as it is. */
  async function startAnew(error: unknown, input: Parameters<typeof startBuildDaemon>[0]): Promise<BuildDaemon> {
    if (!(error instanceof ProcessFailed)) throw error;
    onEvent('a build daemon did not start; it tries again without its caches', { why: error.message });
    await rm(join(input.folder, 'state'), { recursive: true, force: true });
    return startBuildDaemon(input);
  }

  /** Idle daemons make room for working ones, and old caches for new ones. */
  async function makeRoom(home: Home): Promise<void> {
    const others = [...homes.values()].filter((each) => each !== home);
    const alive = others.filter(({ daemon, ready }) => daemon !== undefined || ready !== undefined);
    for (const idle of idleHomes().slice(0, Math.max(0, alive.length + 1 - options.maxBuilds))) await stop(idle);
    const inUse = [home, ...alive].map((each) => each.folder);
    const unusedSince = new Date(options.clock().getTime() - productLimits.buildCacheUnusedMs);
    const dropped = await pruneFolders(folder, { inUse, minFreeBytes: options.minFreeBytes, unusedSince });
    if (dropped.length > 0) onEvent('build caches nobody used were dropped', { dropped });
  }

  function watch(home: Home, daemon: BuildDaemon): void {
    void daemon.ended.then((why) => {
      if (home.daemon !== daemon) return undefined;
      onEvent('a build daemon ended by itself', { namespaceId: home.slot.namespaceId, why: why.message });
      return stop(home);
    });
  }

  /** Never rejects: what could not be cleaned up is told. */
  function stop(home: Home): Promise<void> {
    const { daemon } = home;
    home.daemon = undefined;
    if (daemon === undefined) return home.stopped;
    home.stopped = daemon.stop().catch((error: unknown) => {
      onEvent('a build daemon did not stop cleanly', { why: String(error) });
    });
    return home.stopped;
  }

  async function cleanUp(home: Home): Promise<void> {
    home.ready = undefined;
    home.usedAt = performance.now();
    try {
      // Whatever the build left running is killed before anybody else gets the slot.
      await home.daemon?.cgroup.end();
      if (home.isFull) await makeEmpty(home);
      if (home.daemon !== undefined) await noteUse(home.folder, options.clock());
    } catch (error) {
      onEvent('a build could not be cleaned up after: its daemon is stopped', { why: String(error) });
      await stop(home);
    }
  }

  /** BuildKit takes minutes to give back what a failed step wrote; the disk is everybody's, and caches are only copies. */
  async function makeEmpty(home: Home): Promise<void> {
    await stop(home);
    await rm(join(home.folder, 'state'), { recursive: true, force: true });
    home.isFull = false;
    onEvent('a build filled the disk; the caches of its namespace were dropped', {
      namespaceId: home.slot.namespaceId,
    });
  }

  /** Least recently used first. */
  function idleHomes(): Home[] {
    const idle = [...homes.values()].filter(({ slot, daemon }) => daemon !== undefined && slots.isFree(slot));
    return idle.toSorted((one, other) => one.usedAt - other.usedAt);
  }

  /** Stops what was idle for long enough and looks again when the next one is due. */
  function stopIdle(): void {
    clearTimeout(idleTimer);
    if (closing.signal.aborted) return;
    const now = performance.now();
    const isDue = ({ usedAt }: Home): boolean => now - usedAt >= options.idleMs;
    const idle = idleHomes().slice(0, -1);
    for (const home of idle.filter(isDue)) void stop(home);
    const next = idle.find((home) => !isDue(home));
    if (next === undefined) return;
    idleTimer = setTimeout(stopIdle, Math.max(1, next.usedAt + options.idleMs - now));
    idleTimer.unref();
  }

  async function release(home: Home): Promise<void> {
    await slots.release(home.slot, () => cleanUp(home));
    stopIdle();
  }

  async function lease(request: LeaseRequest): Promise<BuildLease> {
    const signal = AbortSignal.any([request.signal, closing.signal]);
    const home = homeOf(await slots.take({ ...request, signal }));
    try {
      home.ready ??= makeReady(home, request);
      const daemon = await home.ready;
      return {
        buildkit: {
          imageBuild: (input) => noticingFull(home, namingLimits({ ...daemon, folder }, input, request.limits)),
        },
        release: () => release(home),
      };
    } catch (error) {
      await release(home);
      throw error instanceof BuildFailed ? error : noDaemon(error);
    }
  }

  return {
    lease,
    // Asked once, at the worker's start: it shows too that this machine can do all this.
    platforms: async ({ signal }) => {
      const cgroup = join(cgroups, 'platforms');
      const input = { tools, folder: join(folder, 'platforms'), cgroup, registries: [], region: '', signal };
      const daemon = await startBuildDaemon(input);
      await daemon.stop();
      return daemon.platforms;
    },
    close: async () => {
      clearTimeout(idleTimer);
      closing.abort(new Error('The worker is stopping.'));
      await Promise.allSettled([...homes.values()].flatMap(({ ready }) => (ready === undefined ? [] : [ready])));
      await Promise.all([...homes.values()].map((home) => stop(home)));
      await sweepBuildCgroups(cgroups);
      await giveBack();
    },
  };
}

async function noticingFull(home: Pick<Home, 'isFull'>, building: Promise<BuiltImage>): Promise<BuiltImage> {
  try {
    return await building;
  } catch (error) {
    if (error instanceof BuildFailed && error.problem.code === 'build.disk_full') home.isFull = true;
    throw error;
  }
}

/** A failed step is told by the limit it ran into, where it ran into one. */
async function namingLimits(
  { buildkit, cgroup, folder }: Pick<BuildDaemon, 'buildkit' | 'cgroup'> & { readonly folder: string },
  input: ImageBuildInput,
  { memoryBytes, processes }: BuildLimits,
): Promise<BuiltImage> {
  try {
    return await buildkit.imageBuild(input);
  } catch (error) {
    if (!(error instanceof BuildFailed) || error.problem.code !== 'build.step_failed') throw error;
    const { oomKills, isProcessLimitHit } = await cgroup.usage();
    const { exitCode: _exitCode, ...place } = error.problem.params;
    if (oomKills > 0) throw new BuildFailed(outOfMemoryProblem(memoryBytes, place), { cause: error });
    if (isProcessLimitHit) throw new BuildFailed(tooManyProcessesProblem(processes, place), { cause: error });
    if (await isDiskFull(folder)) throw new BuildFailed(diskFullProblem(place), { cause: error });
    throw error;
  }
}

function noDaemon(cause: unknown): BuildFailed {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new BuildFailed(
    {
      code: 'build.builder_unreachable',
      fault: 'system',
      isPermanent: false,
      params: {},
      text: `The build daemon did not start (${said.replaceAll('\n', ' ').slice(-500)}). Slipway tries again by itself.`,
    },
    { cause },
  );
}
