import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrations } from '../../db/migrations/index.ts';
import { buildRuleSchema } from '../../domain/build.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

const migration = migrations['20261121T105000Z-build-rule'];

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

/** The rule itself, and what a build and a run keep of it. */
async function readRules(id: string) {
  const { db } = world.deps;
  const { definition } = await db
    .selectFrom('build_rule')
    .select('definition')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  const { rule } = await db
    .selectFrom('build')
    .select('rule')
    .where('build_rule_id', '=', id)
    .executeTakeFirstOrThrow();
  const run = await db.selectFrom('run').select('input').where('build_rule_id', '=', id).executeTakeFirstOrThrow();
  return { definition, rule, input: run.input };
}

it('rules and their snapshots from before paths, schedules, secrets and time zones mean what they meant', async () => {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  const written = {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }, { buildTime: 'yyyyMMdd' }],
  };
  const id = await seedBuildRule(world.deps.db, repository.id, written);
  await world.push(repository, {});
  const after = await readRules(id);
  expect(after.definition).toEqual(buildRuleSchema.parse(written));

  await migration?.down?.(world.deps.db);
  const before = await readRules(id);
  for (const rule of [before.definition, before.rule, 'rule' in before.input.origin ? before.input.origin.rule : {}]) {
    expect(Object.keys(rule)).toEqual(expect.not.arrayContaining(['paths', 'schedule', 'secrets', 'targetStage']));
    expect(rule).toMatchObject({ imageTags: [{ template: 'latest' }, { buildTime: 'yyyyMMdd' }] });
    expect(JSON.stringify(rule)).not.toContain('timeZone');
  }

  await migration?.up(world.deps.db);
  expect(await readRules(id)).toEqual(after);
});
