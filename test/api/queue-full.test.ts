import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startArchitecture } from '../../db/repositories/build-progress.ts';
import { recordRunStart } from '../../db/repositories/record.ts';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
import { readConfig } from '../../domain/config.ts';
import { testEnvironment } from '../support/api.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import { bitbucketPush, githubPush } from '../support/source-push.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld({ config: readConfig({ ...testEnvironment, SLIPWAY_WAITING_BUILDS: '3' }) });
});
afterAll(() => world.close());

const any = { ref: { type: 'branch', name: '.*', match: 'regexp' }, imageTags: [{ template: 'x' }] };

it('a namespace with as many waiting builds as it may have is refused one more by hand, by its API and by rebuild', async () => {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  const other = await seedRepository(world.deps.db, world.deps.secretBox);
  const ruleId = await seedBuildRule(world.deps.db, repository.id, any);
  const otherRule = await seedBuildRule(world.deps.db, other.id, any);
  let commit = 0;
  vi.mocked(world.deps.git.refResolve).mockImplementation(async () => `${(commit += 1)}`.repeat(40));
  const build = (rule: string, ref: string) => world.call('POST', `/v1/build-rules/${rule}/builds`, { body: { ref } });
  for (const ref of ['one', 'two', 'three']) expect((await build(ruleId, ref)).status).toBe(202);
  const refused = await build(ruleId, 'four');
  expect(refused).toMatchObject({
    status: 429,
    body: { code: 'build.queue_full', limit: 3, detail: expect.stringContaining('3 builds of the namespace') },
  });
  expect(refused.headers.get('retry-after')).toBe('60');
  expect((await build(otherRule, 'one')).status).toBe(202);
  expect((await world.call('GET', '/v1/limits')).body).toMatchObject({ waitingBuildsPerNamespace: 3 });

  const [first] = await world.runsOf(repository);
  const reason = { code: 'run.success', params: {}, text: 'Succeeded' };
  await world.deps.db
    .updateTable('build')
    .set({ status: 'success', ended_at: world.clock() })
    .where('id', '=', first?.build_id ?? '')
    .execute();
  await recordRunEnd(world.deps.db, {
    runId: first?.id ?? '',
    attempt: 1,
    result: 'success',
    reason,
    at: world.clock(),
  });
  expect((await build(ruleId, 'four')).status).toBe(202);
  expect((await world.call('POST', `/v1/builds/${first?.build_id}/rebuild`, { body: {} })).body).toMatchObject({
    code: 'build.queue_full',
  });
});

it('ten refs pushed at once to a queue of three are ten builds: none is refused, the last wait in the inbox', async () => {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, any);
  const refs = Array.from({ length: 10 }, (_, index) => ({
    ref: `refs/heads/b${index}`,
    after: `${index}`.padStart(40, 'a'),
  }));
  for (const payload of refs) {
    const answer = await world.deliver(repository.hookId, githubPush(repository.hookSecret, payload));
    expect(answer.status).toBe(202);
  }
  for (let round = 1; round <= 10; round += 1) {
    await world.dispatchAll();
    const waiting = (await world.runsOf(repository)).filter(({ status }) => status === 'queued');
    expect(waiting.length).toBeLessThanOrEqual(3);
    const [next] = waiting;
    if (next === undefined) break;
    await startArchitecture(world.deps.db, {
      buildId: next.build_id ?? '',
      platform: 'linux/amd64',
      at: world.clock(),
    });
    await recordRunStart(world.deps.db, { runId: next.id, at: world.clock() });
    world.passTime(6_000);
  }
  expect((await world.runsOf(repository)).map(({ ref }) => ref)).toEqual(refs.map(({ ref }) => ref.slice(11)));
  expect(await world.outcomesOf(repository)).toEqual(refs.map(() => expect.objectContaining({ kind: 'runs' })));
});

it('one delivery of more refs than may wait is built as a whole once there is room for one', async () => {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox, { host: 'bitbucket' });
  await seedBuildRule(world.deps.db, repository.id, any);
  const refs = ['one', 'two', 'three', 'four', 'five'];
  const answer = await world.deliver(repository.hookId, bitbucketPush(repository.hookSecret, refs));
  expect(answer.status).toBe(202);
  await world.dispatchAll();
  expect((await world.runsOf(repository)).map(({ ref }) => ref)).toEqual(refs);
});
