import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
import { readConfig } from '../../domain/config.ts';
import { testEnvironment } from '../support/api.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

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
