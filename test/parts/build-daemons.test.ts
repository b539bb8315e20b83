import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import type { BuildRegistry } from '../../activities/drivers/build-daemon-config.ts';
import { startIsolationWorld, type IsolationOptions, type IsolationWorld } from '../support/isolation-world.ts';

const signal = new AbortController().signal;
const worlds: IsolationWorld[] = [];

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop();
});

async function newWorld(options: IsolationOptions = {}): Promise<IsolationWorld> {
  const world = await startIsolationWorld(options);
  worlds.push(world);
  return world;
}

/** The daemons that run in a folder, by `<namespace>/<slot>`. */
async function daemonsIn(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const exe = await readlink(`/proc/${pid}/exe`).catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const root = command.split('\0').find((word) => word.startsWith(`${folder}/`) && word.endsWith('/state'));
      return exe.endsWith('buildkitd') && root !== undefined ? [root.slice(folder.length + 1, -'/state'.length)] : [];
    }),
  );
  return found.flat().toSorted();
}

test('the architectures of this machine and of its emulation are offered, and asking leaves nothing running', async () => {
  const world = await newWorld();
  expect(await world.executor.platforms({ signal })).toContain('linux/amd64');
  expect(await daemonsIn(world.folder)).toEqual([]);
});

test('a build with hosted base images only needs nothing from outside', async () => {
  const world = await newWorld({ policy: { allow: [] } });
  const dockerfile = `FROM base AS unused
RUN echo never run && false
FROM base AS made
RUN --mount=type=cache,target=/cache cat /cache/count 2>/dev/null; echo once >> /cache/count
COPY <<EOF /greeting
hello
EOF
FROM base
COPY --link --from=made /greeting /greeting
COPY --link src/name /name
RUN cat /greeting /name`;
  const { lines } = await world.build(dockerfile, { files: { 'src/name': 'slipway\n' } });
  expect(lines).toEqual(expect.arrayContaining(['hello', 'slipway']));
  expect(lines).not.toContain('never run');
  await expect(world.build('FROM docker.io/library/alpine:3')).rejects.toMatchObject({
    problem: { code: expect.stringMatching(/^build\.(address_refused|base_image_unreachable|base_image_missing)$/) },
  });
});

test('an idle daemon is stopped after a while, but for the one that worked last', async () => {
  const world = await newWorld({ idleMs: 1 });
  await world.build('FROM base\nRUN echo 1', { namespaceId: 'acme' });
  expect(await daemonsIn(world.folder)).toEqual(['acme/0']);
  await world.build('FROM base\nRUN echo 2', { namespaceId: 'other' });
  await vi.waitFor(async () => expect(await daemonsIn(world.folder)).toEqual(['other/0']), 20_000);
});

test('where only one build may run, the next namespace’s takes the place of an idle daemon', async () => {
  const world = await newWorld({ maxBuilds: 1 });
  await world.build('FROM base\nRUN echo 1', { namespaceId: 'acme' });
  await world.build('FROM base\nRUN echo 2', { namespaceId: 'other' });
  expect(await daemonsIn(world.folder)).toEqual(['other/0']);
});

test('a stopped daemon’s caches are there when it is started again', async () => {
  const world = await newWorld({ maxBuilds: 1 });
  const built = await world.build('FROM base\nRUN date +%s%N > /made', { namespaceId: 'acme' });
  await world.build('FROM base\nRUN echo 2', { namespaceId: 'other' });
  const again = await world.build('FROM base\nRUN date +%s%N > /made', { namespaceId: 'acme' });
  expect(again.digest).toBe(built.digest);
  expect(again.cachedSteps).toBe(1);
});

test('both architectures of one build share a daemon, and a second build of the namespace meanwhile has another', async () => {
  const world = await newWorld();
  const limits = { memoryBytes: 1024 ** 3, cpus: 1, processes: 100 };
  const lease = (buildId: string) =>
    world.executor.lease({ namespaceId: 'acme', buildId, region: 'here', limits, signal });
  const leases = [await lease('build-1'), await lease('build-1')];
  expect(await daemonsIn(world.folder)).toEqual(['acme/0']);
  leases.push(await lease('build-2'));
  expect(await daemonsIn(world.folder)).toEqual(['acme/0', 'acme/1']);
  for (const each of leases) await each.release();
});

test('ten builds of one namespace run at once, each on a daemon of its own', async () => {
  const started = new Set<string>();
  /** Says so when all have asked. */
  const meeting = createServer((request, response) => {
    started.add(request.url ?? '');
    response.end(started.size === 10 ? 'all here' : 'not yet');
  });
  await new Promise<void>((resolve) => meeting.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void meeting.close());
  const { port } = meeting.address() as AddressInfo;
  const world = await newWorld({
    policy: { allow: ['meeting.example.com'], ports: 'any', isHttpAllowed: true },
    resolve: async () => ['127.0.0.1'],
    maxBuilds: 10,
  });
  const builds = Array.from({ length: 10 }, (_, number) =>
    world.build(
      `FROM base\nRUN until [ "$(curl -s http://meeting.example.com:${port}/${number})" = 'all here' ]; do sleep 0.2; done; echo met`,
    ),
  );
  for (const { lines } of await Promise.all(builds)) expect(lines).toContain('met');
  expect(await daemonsIn(world.folder)).toHaveLength(10);
});

test('an instance that came after the daemon’s start is known to the next build', async () => {
  const registries: BuildRegistry[] = [];
  const world = await newWorld({ registries: () => registries });
  const other = await newWorld();
  const from = `FROM ${other.registry.host}/slipway-base/library/base\nRUN echo from there`;
  await expect(world.build(from)).rejects.toMatchObject({ problem: { code: expect.stringMatching(/^build\./) } });
  registries.push({ host: other.registry.host, isInsecure: true, region: 'there', hasBaseImages: false });
  expect((await world.build(from)).lines).toContain('from there');
});

test('a daemon that is killed is told, and the next build has a new one', async () => {
  const world = await newWorld();
  await world.build('FROM base\nRUN echo 1');
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.startsWith('unshare') && command.includes(world.folder)) process.kill(Number(pid), 'SIGKILL');
  }
  await vi.waitFor(() => expect(world.events.join()).toContain('a build daemon ended by itself'), 10_000);
  expect((await world.build('FROM base\nRUN echo again')).lines).toContain('again');
});

test('caches that a daemon cannot read are dropped, and said so', async () => {
  const world = await newWorld({ maxBuilds: 1 });
  await world.build('FROM base\nRUN echo 1', { namespaceId: 'acme' });
  await world.build('FROM base\nRUN echo 2', { namespaceId: 'other' });
  const metadata = join(world.folder, 'acme/0/state/runc-overlayfs/containerdmeta.db');
  await writeFile(metadata, 'no database');
  expect((await world.build('FROM base\nRUN echo anew', { namespaceId: 'acme' })).lines).toContain('anew');
  expect(world.events.join()).toContain('without its caches');
});

test('a worker that is killed leaves no daemon, no step and no control group for its successor', async () => {
  const home = await mkdtemp(join(tmpdir(), 'slipway-killed-'));
  onTestFinished(() => rm(home, { recursive: true, force: true, maxRetries: 3 }));
  const folder = join(home, 'buildkit');
  const worker = spawn(process.execPath, [join(import.meta.dirname, '../support/isolation-process.ts'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: home },
    // With its registry, but not its daemons, which have groups of their own.
    detached: true,
  });
  const said: string[] = [];
  worker.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  await vi.waitFor(() => expect(said.join('')).toMatch(/^#\d+ step runs$/m), 60_000);
  expect(await daemonsIn(folder)).toEqual(['acme/0']);
  process.kill(-(worker.pid ?? 0), 'SIGKILL');
  await once(worker, 'exit');
  await vi.waitFor(async () => expect(await daemonsIn(folder)).toEqual([]), 10_000);
  const world = await newWorld({ folder });
  expect((await world.build('FROM base\nRUN echo goes on')).lines).toContain('goes on');
});
