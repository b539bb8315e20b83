import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

async function seed() {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, {
    ref: { type: 'branch', name: '.*', match: 'regexp' },
    imageTags: [{ template: 'latest' }],
  });
  return repository;
}

describe('what a signed payload says', () => {
  it('of another repository, cause, actor or run builds the bound repository and nothing else', async () => {
    const [own, victim] = [await seed(), await seed()];
    await world.push(own, {
      repository: { full_name: 'acme/victim', clone_url: 'https://evil.example.com/x.git', fork: false },
      repository_id: victim.id,
      repositoryId: victim.id,
      hook_id: victim.hookId,
      cause: 'manual',
      actor: 'administrator',
      run: { id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d' },
    });
    const [run, ...others] = await world.runsOf(own);
    expect(others).toEqual([]);
    expect(run).toMatchObject({ repository_id: own.id, cause: 'source_push', actor: 'octocat' });
    expect(JSON.stringify(run?.input)).not.toMatch(/evil\.example\.com|victim/);
    expect(await world.runsOf(victim)).toEqual([]);
    expect(await world.outcomesOf(victim)).toEqual([]);
  });

  it.each([
    '-rf',
    '--upload-pack=touch',
    '../../etc',
    'a..b',
    'a\nb',
    'a\0b',
    'a b',
    'a~1',
    'a:b',
    'x.lock',
    '',
    'x'.repeat(256),
  ])('of a ref no git server would accept (%j) is invalid', async (ref) => {
    const repository = await seed();
    await world.push(repository, { ref: `refs/heads/${ref}` });
    expect(await world.outcomesOf(repository)).toEqual([{ kind: 'invalid', reason: expect.stringContaining('ref') }]);
    expect(await world.runsOf(repository)).toEqual([]);
  });

  it.each(['$(id)', 'a%2fb', ';reboot', '\u202egnp', '\'"', 'a&&b'])(
    'of a ref with an odd name (%j) is that name, whole',
    async (ref) => {
      const repository = await seed();
      await world.push(repository, { ref: `refs/heads/${ref}` });
      expect((await world.runsOf(repository)).map((run) => run.ref)).toEqual([ref]);
    },
  );
});
