import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { noteRunTags } from '../../db/repositories/push.ts';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
import type { RunResult } from '../../domain/record.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const digest = `sha256:${'d'.repeat(64)}`;
const rule = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'v2' }, { template: 'latest' }] };

/** A push that was built outside any chain, its tags moved, under a chain of these nodes. */
async function built(chain: Readonly<Record<string, unknown>>) {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, rule);
  const chainId = await seedChain(world.deps.db, repository.instanceId, { name: 'main', ...chain });
  await world.push(repository, { after: 'a'.repeat(40) });
  const [run] = await world.runsOf(repository);
  const runId = run?.id ?? '';
  await noteRunTags(world.deps.db, { runId, digest, tags: ['v2', 'latest'], platforms: ['linux/amd64'] });
  const end = (result: RunResult) => {
    const reason = { code: `run.${result}`, params: {}, text: result };
    return recordRunEnd(world.deps.db, { runId, attempt: 1, result, reason, at: world.clock() });
  };
  return { repository, chainId, end };
}

it('a chain without a build node starts at the push step with every tag a build outside it moved, once', async () => {
  const { repository, chainId, end } = await built({ nodes: { scan: {}, replicate: {}, trigger: {} } });
  let notice: (payload: string | null) => void = () => {};
  const on = (channel: string, handler: typeof notice) => {
    if (channel === 'slipway_start') notice = handler;
    return () => {};
  };
  const stop = world.createReader({ on }).watch();
  await end('success');
  await end('success');
  const [build, ...runs] = await world.runsOf(repository);
  expect(build).toMatchObject({ number: 0, chain_id: null, cause: 'source_push', result: 'success' });
  expect(runs).toMatchObject([
    { number: 1, chain_id: chainId, cause: 'image_push', actor: 'octocat', tags: ['latest'], digest, build_id: null },
    { number: 2, chain_id: chainId, cause: 'image_push', actor: 'octocat', tags: ['v2'], digest, build_id: null },
  ]);
  expect(runs.map((run) => run.input.origin)).toEqual([
    { kind: 'image', tag: 'latest', digest },
    { kind: 'image', tag: 'v2', digest },
  ]);
  for (const { id } of runs) notice(id);
  const started = () => world.engine.startRun.mock.calls.map(([input]) => input.runId);
  await vi.waitFor(() => expect(started()).toEqual(expect.arrayContaining(runs.map(({ id }) => id))));
  await stop();
  expect((await world.call('GET', `/v1/runs/${runs[0]?.id}`)).body).toMatchObject({
    cause: 'image_push',
    steps: expect.arrayContaining([expect.objectContaining({ name: 'build', state: 'waiting' })]),
  });
});

it.each([
  ['the build failed', 'failed', { nodes: { scan: {} } }],
  ['the build was canceled', 'canceled', { nodes: { scan: {} } }],
  ['no enabled chain covers the repository', 'success', { nodes: { scan: {} }, enabled: false }],
  [
    'the chain excludes the repository',
    'success',
    { nodes: { scan: {} }, scope: { allEffective: false, exclude: ['app'] } },
  ],
] as const)('nothing is handed over where %s', async (_, result, chain) => {
  const { repository, end } = await built(chain);
  await end(result);
  expect(await world.runsOf(repository)).toHaveLength(1);
});

it('a build inside its chain hands nothing over: its push starts nothing', async () => {
  const { repository, end } = await built({ nodes: { build: {}, scan: {} } });
  await end('success');
  expect(await world.runsOf(repository)).toHaveLength(1);
});
