import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';
import { bitbucketPush } from '../support/source-push.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const anyBranch = {
  ref: { type: 'branch', name: '.*', match: 'regexp' },
  imageTags: [{ template: 'x', commitIdLength: 8 }],
};

describe('one delivery of many refs', () => {
  it('and builds of the same refs by hand at the same time never wait for each other for ever', async () => {
    const { db, secretBox } = world.deps;
    const repository = await seedRepository(db, secretBox, { host: 'bitbucket' });
    const ruleId = await seedBuildRule(db, repository.id, anyBranch);
    await seedChain(db, repository.instanceId, { name: 'main' });
    vi.mocked(world.deps.git.refResolve).mockResolvedValue('f'.repeat(40));
    const branches = Array.from({ length: 8 }, (_, index) => `b${index}`);
    for (let round = 0; round < 3; round += 1) {
      await world.deliver(repository.hookId, bitbucketPush(repository.hookSecret, branches));
      const answers = await Promise.all([
        world.dispatchAll(),
        ...branches
          .toReversed()
          .map((ref) => world.call('POST', `/v1/build-rules/${ruleId}/builds`, { body: { ref } })),
      ]);
      expect(answers.slice(1).map((answer) => (typeof answer === 'number' ? answer : answer.status))).toEqual(
        branches.map(() => 202),
      );
    }
    const outcomes = await db.selectFrom('inbox').select('attempts').where('hook_id', '=', repository.hookId).execute();
    expect(outcomes.map(({ attempts }) => attempts)).toEqual([0, 0, 0]);
  });
});
