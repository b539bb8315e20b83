import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import { migrations } from '../../db/migrations/index.ts';
import { buildRuleSchema } from '../../domain/build.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

it('rules written before paths, schedules, secrets and time zones mean what they meant', async () => {
  const { db } = database;
  const repository = await seedRepository(db, createSecretBox({ keys: [randomBytes(32)] }));
  const written = {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }, { buildTime: 'yyyyMMdd' }],
  };
  const id = await seedBuildRule(db, repository.id, written);
  const definition = () =>
    db.selectFrom('build_rule').select('definition').where('id', '=', id).executeTakeFirstOrThrow();

  const migration = migrations['20261121T105000Z-build-rule'];
  await migration?.down?.(db);
  const before = (await definition()).definition;
  expect(Object.keys(before)).not.toContain('paths');
  expect(before.imageTags).toEqual([
    { template: 'latest', buildTime: null, commitIdLength: null },
    { template: null, buildTime: 'yyyyMMdd', commitIdLength: null },
  ]);
  await migration?.up(db);
  expect((await definition()).definition).toEqual(buildRuleSchema.parse(written));
});
