import { execFile } from 'node:child_process';
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { folderName } from '../../activities/drivers/build-folders.ts';
import { startIsolationWorld, type IsolationWorld } from '../support/isolation-world.ts';

const run = promisify(execFile);
const canaryText = 'a file of this machine';

let world: IsolationWorld;
/** A file of the machine, where a Dockerfile that gets out would find it. */
let canary: string;
/** What a registry of somebody else's was asked for. */
const asked: string[] = [];
const elsewhere = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.writeHead(404).end();
});
let elsewhereHost: string;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-canary-'));
  canary = join(folder, 'canary');
  await writeFile(canary, canaryText);
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  elsewhereHost = `127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  world = await startIsolationWorld({
    registries: () => [{ host: elsewhereHost, isInsecure: true, region: 'elsewhere', hasBaseImages: false }],
  });
});
afterEach(async () => {
  if ((await readFile(canary, 'utf8')) !== canaryText) throw new Error('A build changed a file of this machine.');
});
afterAll(async () => {
  elsewhere.close();
  await world.stop();
  await rm(join(canary, '..'), { recursive: true });
});

/** How a build ended, and what its steps printed. */
async function outcomeOf(...build: Parameters<IsolationWorld['build']>): Promise<{ code: string; lines: string[] }> {
  try {
    return { code: 'success', lines: [...(await world.build(...build)).lines] };
  } catch (error) {
    const { problem, lines } = error as { problem?: { code: string }; lines: string[] };
    return { code: problem?.code ?? String(error), lines };
  }
}

describe('no-custom-frontend: a frontend of another maker', () => {
  test('by a `# syntax=` line is never followed, nor by the parameter that means the same', async () => {
    const syntax = `# syntax=${elsewhereHost}/evil/frontend:1\nFROM base\nRUN echo built by ours`;
    expect(await outcomeOf(syntax)).toMatchObject({
      code: 'success',
      lines: expect.arrayContaining(['built by ours']),
    });
    const args = [{ key: 'BUILDKIT_SYNTAX', value: `${elsewhereHost}/evil/frontend:1` }];
    expect(await outcomeOf('FROM base\nRUN echo ours again', { input: { args } })).toMatchObject({ code: 'success' });
    expect(asked).toEqual([]);
    // It would have been asked: what a build does pull from there, it does ask for.
    await outcomeOf(`FROM ${elsewhereHost}/evil/base:1`);
    expect(asked.length).toBeGreaterThan(0);
  });
});

describe('arg-injection: a name that is an option, a command or a way out', () => {
  const words = ['-rf', 'a%2fb', 'a,b=c', '\u202egnp', '$(touch CANARY)', '--output=CANARY'];

  test('as the value of a build argument reaches the step as it is, and no option of the builder', async () => {
    const values = [...words, 'x,build-arg:EXTRA=1,target=none', 'a\nb', '"\\', ''].map((value) =>
      value.replace('CANARY', canary),
    );
    const args = values.map((value, index) => ({ key: `A${index}`, value }));
    const asks = args.map(({ key }) => `ARG ${key}`).join('\n');
    const show = `RUN perl -e 'for (${args.map(({ key }) => `"${key}"`).join(',')}, "EXTRA") { print "$_=", unpack("H*", $ENV{$_} // "none"), ";\\n" }'`;
    const { code, lines } = await outcomeOf(`FROM base\n${asks}\nARG EXTRA\n${show}`, { input: { args } });
    expect(code).toBe('success');
    const hex = (text: string) => Buffer.from(text).toString('hex');
    const wanted = args.map(({ key, value }) => `${key}=${hex(value)};`);
    expect(lines).toEqual(expect.arrayContaining([...wanted, `EXTRA=${hex('none')};`]));
  });

  test.each([...words.entries()])('as the Dockerfile’s name (%i, %j) is a name', async (index, word) => {
    const dockerfile = word.replace('CANARY', 'canary');
    const files = { [dockerfile]: `FROM base\nRUN echo by name ${index}` };
    expect(await outcomeOf('FROM scratch', { files, input: { dockerfile } })).toMatchObject({
      code: 'success',
      lines: expect.arrayContaining([`by name ${index}`]),
    });
  });
});

describe('escape-dockerfiles: a Dockerfile that wants out', () => {
  test.each([
    ['a working directory among the runtime’s open files', 'WORKDIR /proc/self/fd/8\nRUN cat ../../..CANARY'],
    [
      'the runtime’s open files by number',
      'RUN for i in 3 4 5 6 7 8 9 10; do cat /proc/self/fd/$i/../../..CANARY; done',
    ],
    ['the first process’s root', 'RUN cat /proc/1/rootCANARY /proc/1/cwdCANARY'],
    [
      'a link to the root that is copied through',
      'RUN ln -s / /out\nFROM base\nCOPY --from=1 /out /out\nRUN cat /outCANARY',
    ],
    ['a context path upwards', 'COPY ../../../../../../../..CANARY /x\nRUN cat /x'],
    ['a bind mount upwards', 'RUN --mount=type=bind,source=../../../../../..,target=/host cat /hostCANARY'],
    ['a bind mount through a link', 'RUN --mount=type=bind,from=links,source=/out,target=/host cat /hostCANARY'],
    ['a mount of the disk', 'RUN mkdir /m; mount /dev/vda /m && cat /mCANARY'],
    ['a device file of the disk', 'RUN mknod /disk b 254 0 && cat /disk'],
  ])('%s leads to no file of this machine', async (_, steps) => {
    const stages = `FROM base AS links\nRUN ln -s / /out\nFROM base\n${steps.replaceAll('CANARY', canary)} 2>&1 || true`;
    const { lines } = await outcomeOf(stages);
    expect(lines.join('\n')).not.toContain(canaryText);
  });

  test.each([
    ['the network of its host', 'RUN --network=host echo here'],
    ['no confinement', 'RUN --security=insecure echo here'],
  ])('a step that asks for %s is refused', async (_, step) => {
    const { code, lines } = await outcomeOf(`FROM base\n${step}`);
    expect(code).toBe('build.dockerfile_invalid');
    expect(lines).not.toContain('here');
  });

  test('a step can neither write to the kernel’s settings nor load into it', async () => {
    const { lines } = await outcomeOf(
      `FROM base\nRUN for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/uevent_helper /sys/fs/cgroup/*/release_agent; do (echo x > $f) 2>/dev/null && echo wrote $f; done; echo tried`,
    );
    expect(lines).toContain('tried');
    expect(lines.filter((line) => line.startsWith('wrote'))).toEqual([]);
  });
});

describe('escape-dockerfiles: a Dockerfile that wants everything', () => {
  test('memory: the build ends, is told its limit and the step, and the next one works', async () => {
    const limits = { memoryBytes: 64 * 1024 ** 2 };
    await expect(world.build('FROM base\nRUN a=x; while true; do a=$a$a; done', { limits })).rejects.toMatchObject({
      problem: {
        code: 'build.out_of_memory',
        fault: 'user',
        isPermanent: true,
        params: { file: 'Dockerfile', line: 2, limit: limits.memoryBytes },
        text: expect.stringContaining('64 MB together'),
      },
    });
    expect(await outcomeOf('FROM base\nRUN echo after memory', { limits })).toMatchObject({ code: 'success' });
  });

  test('a program that is killed inside its step is told as what it was', async () => {
    const limits = { memoryBytes: 64 * 1024 ** 2 };
    const hungry = `RUN sh -c 'a=x; while true; do a=$a$a; done' || exit 3`;
    expect(await outcomeOf(`FROM base\n${hungry}`, { limits })).toMatchObject({ code: 'build.out_of_memory' });
  });

  test('a step that fails by itself is not told as out of memory', async () => {
    expect(await outcomeOf('FROM base\nRUN exit 137')).toMatchObject({ code: 'build.step_failed' });
  });

  test('processes: a fork bomb ends by its limit, and nothing of it is left', async () => {
    const bomb = 'FROM base\nRUN bomb() { bomb | bomb & }; for i in 1 2 3 4 5 6 7 8; do bomb; done; wait; false';
    const { code } = await outcomeOf(bomb, { limits: { processes: 64 }, input: { timeoutMs: 20_000 } });
    expect(['build.too_many_processes', 'build.timeout']).toContain(code);
    expect(await stepsRunning()).toEqual([]);
    expect(await outcomeOf('FROM base\nRUN echo after bomb')).toMatchObject({ code: 'success' });
  });

  test('a file of 100 GB is refused by its size, even if it is empty inside', async () => {
    const { code, lines } = await outcomeOf('FROM base\nRUN truncate --size=100G /large 2>&1');
    expect(code).toBe('build.step_failed');
    expect(lines.join('\n')).toMatch(/File (?:size limit exceeded|too large)|truncate/);
  });

  test('a million files: the file system of the builds ends the step, and nothing but its builds', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-disk-'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=8k', 'slipway', folder]);
    const small = await startIsolationWorld({ folder: join(folder, 'buildkit') });
    try {
      const files = `RUN perl -e 'mkdir "/many"; for (1..1000000) { open(F, ">", "/many/$_") or die "file $_: $!" }'`;
      const failure = small.build(`FROM base\n${files}`);
      await expect(failure).rejects.toMatchObject({
        problem: { code: 'build.disk_full', fault: 'system', params: { file: 'Dockerfile', line: 2 } },
        lines: expect.arrayContaining([expect.stringMatching(/^file \d+: No space left on device/)]),
      });
      expect(small.events.join()).toContain('the caches of its namespace were dropped');
      expect((await small.build('FROM base\nRUN echo after files')).lines).toContain('after files');
    } finally {
      await small.stop();
      await run('umount', [folder]);
      await rm(folder, { recursive: true });
    }
  });

  test('processors: a build that burns all it may is held to its share, and another namespace’s ends beside it', async () => {
    const canceling = new AbortController();
    const { promise: burning, resolve: nowBurning } = Promise.withResolvers<undefined>();
    const hog = world.build('FROM base\nRUN echo burning; for i in 1 2 3 4; do (while :; do :; done) & done; wait', {
      limits: { cpus: 0.3 },
      signal: canceling.signal,
      input: { onLines: (lines) => lines.some(({ text }) => text.endsWith(' burning')) && nowBurning(undefined) },
    });
    await burning;
    const before = await cpuOf('acme');
    const beside = await world.build('FROM base\nRUN i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo counted', {
      namespaceId: 'other',
    });
    const after = await cpuOf('acme');
    canceling.abort();
    await expect(hog).rejects.toThrow(/abort/i);

    expect(beside.lines).toContain('counted');
    expect(before.quota).toBe(0.3);
    expect(after.timesHeldBack).toBeGreaterThan(before.timesHeldBack);
    // Where both want everything, each namespace gets as much as the other, however many processes it has.
    expect(await cpuWeightOf('acme')).toBe(await cpuWeightOf('other'));
    expect(await stepsRunning()).toEqual([]);
  });

  test('time: output without end is stopped with the build, and nothing of it is left', async () => {
    const endless = 'FROM base\nRUN while true; do echo y; done';
    expect(await outcomeOf(endless, { input: { timeoutMs: 4_000 } })).toMatchObject({ code: 'build.timeout' });
    expect(await stepsRunning()).toEqual([]);
  });

  test('a canceled build’s processes are gone when its daemon is given back', async () => {
    const canceling = new AbortController();
    const building = world.build('FROM base\nRUN echo running; sleep 600', {
      signal: canceling.signal,
      input: { onLines: (lines) => lines.some(({ text }) => text.endsWith(' running')) && canceling.abort() },
    });
    await expect(building).rejects.toThrow(/abort/i);
    expect(await stepsRunning()).toEqual([]);
  });
});

/** What the steps of a namespace's build may have of the processors, and how often they were held to it. */
async function cpuOf(namespaceId: string): Promise<{ quota: number; timesHeldBack: number }> {
  const group = join(await cpuGroupOf(namespaceId), 'steps');
  const read = (name: string) => readFile(join(group, name), 'utf8');
  const [quota = '', period = ''] = (await isVersion2())
    ? (await read('cpu.max')).split(' ')
    : [await read('cpu.cfs_quota_us'), await read('cpu.cfs_period_us')];
  const [, timesHeldBack] = /nr_throttled (\d+)/.exec(await read('cpu.stat')) ?? [];
  return { quota: Number(quota) / Number(period), timesHeldBack: Number(timesHeldBack) };
}

async function cpuWeightOf(namespaceId: string): Promise<string> {
  return readFile(join(await cpuGroupOf(namespaceId), (await isVersion2()) ? 'cpu.weight' : 'cpu.shares'), 'utf8');
}

async function cpuGroupOf(namespaceId: string): Promise<string> {
  const root = (await isVersion2()) ? '/sys/fs/cgroup' : '/sys/fs/cgroup/cpu';
  return join(root, 'slipway', folderName(world.folder), `${namespaceId}-0`);
}

function isVersion2(): Promise<boolean> {
  return access('/sys/fs/cgroup/cgroup.controllers').then(
    () => true,
    () => false,
  );
}

/** Processes whose control group is one of steps. */
async function stepsRunning(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const groups = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')));
  const own = new RegExp(`/slipway/[^/]+/acme-\\d+/steps`);
  return groups.flatMap((text) => text.split('\n')).filter((line) => own.test(line) && line.includes(':pids:'));
}
