import { mkdir, readdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BuildLimits } from './build-executor.ts';

/** What a build used up of its limits. */
export interface BuildUsage {
  readonly oomKills: number;
  readonly isProcessLimitHit: boolean;
}

/** The control groups of one build daemon: one for itself, one for all steps of the build it works on. */
export interface BuildCgroup {
  /** For `defaultCgroupParent`, the same in every hierarchy. */
  readonly stepsPath: string;
  /** Comes first. */
  addDaemon(pid: number): Promise<void>;
  /** Makes an empty group for a build's steps; what was in it before is killed. */
  begin(limits: BuildLimits): Promise<void>;
  /** Kills what is left of the build's steps. */
  end(): Promise<void>;
  usage(): Promise<BuildUsage>;
  /** Kills everything inside. */
  remove(): Promise<void>;
}

export interface BuildCgroupOptions {
  /** Where control groups are mounted; another folder in tests only. */
  readonly root?: string;
  /** `/proc/vmstat`; another file in tests only. */
  readonly vmstat?: string;
}

const cpuPeriodUs = 100_000;
const controllers = ['memory', 'cpu', 'pids'] as const;
type Controller = (typeof controllers)[number];
/** A daemon holds no more than blobs on their way; a step's memory is no part of this. */
const daemonMemoryBytes = 1024 ** 3;
const killWithinMs = 5_000;
/** The kernel takes memory for a group in portions of up to this size. */
const chargedAtOnceBytes = 1024 ** 2;

/** The group `/slipway/<name>`, by version 1 or 2 of control groups, whichever the machine has. Throws a sentence if it has neither. */
export async function createBuildCgroup(name: string, options: BuildCgroupOptions = {}): Promise<BuildCgroup> {
  const root = options.root ?? '/sys/fs/cgroup';
  const path = join('/slipway', name);
  return (await isVersion2(root))
    ? version2(root, path)
    : version1(root, path, { vmstat: options.vmstat ?? '/proc/vmstat' });
}

/** Kills and removes every group below `/slipway/<name>`: what an earlier process left. */
export async function sweepBuildCgroups(name: string, { root = '/sys/fs/cgroup' }: BuildCgroupOptions = {}) {
  const folders = (await isVersion2(root)) ? [root] : await hierarchies(root);
  for (const folder of folders) {
    await removeGroup(join(folder, 'slipway', name));
    // Others may still have theirs in it.
    await rmdir(join(folder, 'slipway')).catch(() => undefined);
  }
}

/** All that are mounted: what runs a step makes its group in every one of them. */
async function hierarchies(root: string): Promise<string[]> {
  return (await readdir(root)).map((name) => join(root, name));
}

async function isVersion2(root: string): Promise<boolean> {
  if (await exists(join(root, 'cgroup.controllers'))) return true;
  for (const controller of controllers) {
    if (!(await exists(join(root, controller)))) {
      throw new Error(
        `Builds need control groups to hold their limits, and ${root} has no "${controller}": mount them, or build elsewhere with SLIPWAY_BUILDKIT_ADDRESS.`,
      );
    }
  }
  return false;
}

function version2(root: string, path: string): BuildCgroup {
  const group = join(root, path);
  const daemon = join(group, 'daemon');
  const steps = join(group, 'steps');
  /** A group has only the controllers that all above it hand down. */
  const makeGroup = async (): Promise<void> => {
    for (const folder of [root, ...ancestors(root, path)]) {
      await mkdir(folder, { recursive: true });
      await write(folder, 'cgroup.subtree_control', '+memory +cpu +pids');
    }
  };
  return {
    stepsPath: join(path, 'steps'),
    begin: async ({ memoryBytes, cpus, processes }) => {
      await removeGroup(steps);
      await mkdir(steps);
      await write(steps, 'memory.max', memoryBytes);
      // Without swap accounting there is no such file, and no swap to use either.
      await write(steps, 'memory.swap.max', 0).catch(ignoreMissing);
      await write(steps, 'cpu.max', `${Math.round(cpus * cpuPeriodUs)} ${cpuPeriodUs}`);
      await write(steps, 'pids.max', processes);
    },
    end: () => removeGroup(steps),
    addDaemon: async (pid) => {
      await makeGroup();
      await mkdir(daemon, { recursive: true });
      await write(daemon, 'memory.max', daemonMemoryBytes);
      await write(daemon, 'cgroup.procs', pid);
    },
    usage: async () => ({
      oomKills: await counter(join(steps, 'memory.events'), 'oom_kill'),
      isProcessLimitHit: (await counter(join(steps, 'pids.events'), 'max')) > 0,
    }),
    remove: () => removeGroup(group),
  };
}

function version1(root: string, path: string, { vmstat }: { readonly vmstat: string }): BuildCgroup {
  const groupOf = (controller: Controller) => join(root, controller, path);
  const stepsOf = (controller: Controller) => join(groupOf(controller), 'steps');
  let killsBefore = 0;
  return {
    stepsPath: join(path, 'steps'),
    begin: async ({ memoryBytes, cpus, processes }) => {
      for (const controller of controllers) {
        await removeGroup(stepsOf(controller));
        await mkdir(stepsOf(controller), { recursive: true });
      }
      const memory = stepsOf('memory');
      await write(memory, 'memory.limit_in_bytes', memoryBytes);
      await write(memory, 'memory.memsw.limit_in_bytes', memoryBytes).catch(ignoreMissing);
      await write(stepsOf('cpu'), 'cpu.cfs_period_us', cpuPeriodUs);
      await write(stepsOf('cpu'), 'cpu.cfs_quota_us', Math.round(cpus * cpuPeriodUs));
      await write(stepsOf('pids'), 'pids.max', processes);
      killsBefore = await counter(vmstat, 'oom_kill');
    },
    end: async () => {
      for (const folder of await hierarchies(root)) await removeGroup(join(folder, path, 'steps'));
    },
    addDaemon: async (pid) => {
      for (const controller of controllers) {
        const daemon = join(groupOf(controller), 'daemon');
        await mkdir(daemon, { recursive: true });
        if (controller === 'memory') await write(daemon, 'memory.limit_in_bytes', daemonMemoryBytes);
        await write(daemon, 'cgroup.procs', pid);
      }
    },
    usage: async () => {
      // Version 1 counts a kill in the step's own group, which is gone by now, and newer kernels no longer count refusals. The
      // machine's count says that something was killed, and our group's mark that its limit was reached.
      const kills = (await counter(vmstat, 'oom_kill')) - killsBefore;
      const mostMemory = await number(join(stepsOf('memory'), 'memory.max_usage_in_bytes'));
      const memoryLimit = await number(join(stepsOf('memory'), 'memory.limit_in_bytes'));
      const mostProcesses = await number(join(stepsOf('pids'), 'pids.peak'));
      const processLimit = await number(join(stepsOf('pids'), 'pids.max'));
      return {
        oomKills: mostMemory >= memoryLimit - chargedAtOnceBytes ? kills : 0,
        isProcessLimitHit: processLimit > 0 && mostProcesses >= processLimit,
      };
    },
    remove: async () => {
      for (const folder of await hierarchies(root)) await removeGroup(join(folder, path));
    },
  };
}

/** `/slipway` and what is below it on the way to `path`. */
function ancestors(root: string, path: string): string[] {
  const names = path.split('/').filter(Boolean);
  return names.map((_, index) => join(root, ...names.slice(0, index + 1)));
}

/** Kills what is inside, and removes the group with those below it; a group that is not there is fine. */
async function removeGroup(folder: string): Promise<void> {
  const deadline = performance.now() + killWithinMs;
  for (;;) {
    const groups = await groupsBelow(folder);
    for (const group of groups) await killAll(group);
    const busy = await removeAll(groups);
    if (busy === undefined) return;
    if (performance.now() > deadline)
      throw new Error(`The control group ${folder} could not be removed.`, { cause: busy });
    await delay(20);
  }
}

/** Innermost first. The last error says why one stays. */
async function removeAll(groups: readonly string[]): Promise<unknown> {
  let busy: unknown;
  for (const group of groups.toReversed()) {
    await rmdir(group).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') busy = error;
    });
  }
  return busy;
}

async function groupsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const inner = entries.filter((entry) => entry.isDirectory()).map((entry) => groupsBelow(join(folder, entry.name)));
  return [folder, ...(await Promise.all(inner)).flat()];
}

async function killAll(group: string): Promise<void> {
  const pids = await readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => '');
  for (const pid of pids.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // ESRCH: ended meanwhile
    }
  }
}

async function counter(file: string, name: string): Promise<number> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  return Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? 0);
}

/** `max`, and a file that this kernel does not have, count as nothing. */
async function number(file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return Number.parseInt(text, 10) || 0;
}

async function write(folder: string, name: string, value: number | string): Promise<void> {
  await writeFile(join(folder, name), String(value), { flag: 'r+' });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
