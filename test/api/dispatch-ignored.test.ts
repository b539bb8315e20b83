import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const latest = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

describe('a delivery that starts nothing says why', () => {
  it.each([
    ['ref_deleted', {}, { deleted: true, after: '0'.repeat(40), head_commit: null }, 'push'],
    ['ref_deleted', {}, { after: '0'.repeat(40) }, 'push'],
    ['ref_deleted', {}, { ref: 'main', ref_type: 'branch' }, 'delete'],
    ['no_change', {}, { ref: 'main', ref_type: 'branch' }, 'create'],
    ['ping', {}, { zen: 'Keep it logically awesome.' }, 'ping'],
    ['pull_request', {}, { action: 'opened' }, 'pull_request'],
    ['fork', {}, {}, 'fork'],
    ['fork', {}, { repository: { full_name: 'mallory/app', fork: true } }, 'push'],
    ['no_rule', {}, { ref: 'refs/heads/other' }, 'push'],
    ['no_rule', {}, { ref: 'refs/tags/main' }, 'push'],
    ['other_event', {}, { ref: 'refs/notes/commits' }, 'push'],
    ['other_event', {}, {}, 'star'],
    ['rule_disabled', { isRuleEnabled: false }, {}, 'push'],
    ['auto_build_off', { isAutoBuild: false }, {}, 'push'],
  ])(
    '%s',
    async (
      reason,
      { isAutoBuild = true, isRuleEnabled = true }: { isAutoBuild?: boolean; isRuleEnabled?: boolean },
      payload,
      event,
    ) => {
      const repository = await seedRepository(world.deps.db, world.deps.secretBox, { isAutoBuild });
      await seedBuildRule(world.deps.db, repository.id, { ...latest, enabled: isRuleEnabled });
      await world.push(repository, payload, event);
      expect(await world.outcomesOf(repository)).toEqual([{ kind: 'ignored', reason }]);
      expect(await world.runsOf(repository)).toEqual([]);
    },
  );

  it('a push to the bound repository builds although that is itself a fork', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await world.push(repository, { repository: { full_name: 'Acme/App', fork: true } });
    expect(await world.runsOf(repository)).toHaveLength(1);
  });

  it.each([
    ['no commit id', { after: 'main' }],
    ['a ref git would not accept', { ref: 'refs/heads/../../etc' }],
    ['no ref', { ref: 7 }],
  ])('invalid: %s', async (_, payload) => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await world.push(repository, payload);
    expect(await world.outcomesOf(repository)).toEqual([{ kind: 'invalid', reason: expect.any(String) }]);
  });

  it('a branch deleted and pushed again with the same commit builds again', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await world.push(repository, {});
    await world.endRuns(repository, 'success');
    await world.push(repository, { deleted: true, after: '0'.repeat(40) });
    await world.push(repository, {});
    expect(await world.runsOf(repository)).toHaveLength(2);
  });
});
