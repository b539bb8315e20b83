import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrations } from '../../db/migrations/index.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';

const migration = migrations['20261121T103000Z-order'];

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

it('chains and runs from before concurrency mean what they meant, and builds know their region', async () => {
  const { db, secretBox } = world.deps;
  const repository = await seedRepository(db, secretBox);
  await seedBuildRule(db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }],
  });
  const chainId = await seedChain(db, repository.instanceId, { name: 'main' });
  await world.push(repository, {});
  const read = async () => ({
    chain: (await db.selectFrom('chain').select('definition').where('id', '=', chainId).executeTakeFirstOrThrow())
      .definition,
    inputs: (await db.selectFrom('run').select('input').execute()).map(({ input }) => input),
  });
  const after = await read();
  expect(after.chain.concurrency).toBeNull();

  await db.updateTable('run').set({ is_waiting: true }).execute();
  await migration?.down?.(db);
  expect(await db.selectFrom('chain').select('definition').executeTakeFirst()).toEqual({
    definition: expect.not.objectContaining({ concurrency: null }),
  });

  await migration?.up(db);
  expect(await read()).toEqual(after);
  const build = await db.selectFrom('build').select('region').executeTakeFirstOrThrow();
  expect(build.region).toBe('cn-hangzhou');
  const run = await db.selectFrom('run').select(['is_waiting', 'concurrency_key']).executeTakeFirstOrThrow();
  expect(run).toEqual({ is_waiting: false, concurrency_key: null });
});
