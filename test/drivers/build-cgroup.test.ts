import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createBuildCgroup } from '../../activities/drivers/build-cgroup.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'slipway-cgroup-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** The kernel makes a group's files with its folder; here they have to be there before. */
async function prepare(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(root, name, '..'), { recursive: true });
    await writeFile(join(root, name), content);
  }
}

const read = (name: string) => readFile(join(root, name), 'utf8');

describe('control groups of version 2', () => {
  const steps = 'slipway/own/steps';

  test('kills and refused processes are read from the events of the group', async () => {
    await prepare({
      'cgroup.controllers': 'cpu memory pids',
      [`${steps}/memory.events`]: 'low 0\nhigh 0\nmax 12\noom 2\noom_kill 2\noom_group_kill 0\n',
      [`${steps}/pids.events`]: 'max 7\n',
    });
    const group = await createBuildCgroup('own', { root });
    expect(await group.usage()).toEqual({ oomKills: 2, isProcessLimitHit: true });
    expect(group.stepsPath).toBe('/slipway/own/steps');
  });

  test('a quiet build has used up nothing', async () => {
    await prepare({
      'cgroup.controllers': 'cpu memory pids',
      [`${steps}/memory.events`]: 'max 0\noom_kill 0\n',
      [`${steps}/pids.events`]: 'max 0\n',
    });
    const group = await createBuildCgroup('own', { root });
    expect(await group.usage()).toEqual({ oomKills: 0, isProcessLimitHit: false });
  });

  test('the daemon is put into a group of its own, under groups that hand their controllers down', async () => {
    await prepare({
      'cgroup.controllers': 'cpu memory pids',
      'cgroup.subtree_control': '',
      'slipway/cgroup.subtree_control': '',
      'slipway/own/cgroup.subtree_control': '',
      'slipway/own/daemon/cgroup.procs': '',
      'slipway/own/daemon/memory.max': 'max',
    });
    const group = await createBuildCgroup('own', { root });
    await group.addDaemon(4711);
    expect(await read('slipway/own/daemon/cgroup.procs')).toBe('4711');
    for (const group of ['.', 'slipway', 'slipway/own']) {
      expect(await read(`${group}/cgroup.subtree_control`)).toBe('+memory +cpu +pids');
    }
    expect(await read('slipway/own/daemon/memory.max')).toBe(String(1024 ** 3));
  });
});

describe('control groups of version 1', () => {
  const steps = 'slipway/own/steps';
  const limit = 64 * 1024 ** 2;

  async function usageOf({ most, kills }: { most: number; kills: number }) {
    await prepare({
      'cpu/tasks': '',
      vmstat: `oom_kill ${kills}\n`,
      [`memory/${steps}/memory.limit_in_bytes`]: String(limit),
      [`memory/${steps}/memory.max_usage_in_bytes`]: String(most),
      [`pids/${steps}/pids.max`]: '32',
      [`pids/${steps}/pids.peak`]: '32',
    });
    return (await createBuildCgroup('own', { root, vmstat: join(root, 'vmstat') })).usage();
  }

  test('a kill counts for the build only when its memory limit was reached', async () => {
    expect(await usageOf({ most: limit - 4096, kills: 1 })).toMatchObject({ oomKills: 1 });
    expect(await usageOf({ most: limit / 2, kills: 1 })).toMatchObject({ oomKills: 0 });
    expect(await usageOf({ most: limit, kills: 0 })).toMatchObject({ oomKills: 0 });
  });

  test('the process limit was hit when there were once as many as there may be', async () => {
    expect(await usageOf({ most: 0, kills: 0 })).toMatchObject({ isProcessLimitHit: true });
  });
});

test('a machine without control groups is told what is missing and what to do', async () => {
  await prepare({ 'memory/tasks': '', 'pids/tasks': '' });
  await expect(createBuildCgroup('own', { root })).rejects.toThrow(/has no "cpu": mount them, or build elsewhere/);
});
