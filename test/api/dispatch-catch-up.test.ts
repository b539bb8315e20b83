import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertAutomaticRun } from '../../db/repositories/automatic-run.ts';
import { insertCatchUp } from '../../db/repositories/inbox.ts';
import { defaultTimings } from '../../domain/chain.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const [a, b, c] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)] as const;
const rule = (tag: string) => ({ ref: { type: 'branch', name: 'main' }, imageTags: [{ template: tag }] });

async function newRepository(): Promise<SeededRepository & { ruleId: string }> {
  const { db, secretBox } = world.deps;
  const repository = await seedRepository(db, secretBox);
  return { ...repository, ruleId: await seedBuildRule(db, repository.id, rule('latest')) };
}

const found = ({ id: repositoryId, hookId }: SeededRepository, missed: { commit: string; before: string | null }) =>
  insertCatchUp(world.deps.db, { repositoryId, hookId, ref: 'main', refType: 'branch', orderNo: 0, ...missed });

const causesOf = async (repository: SeededRepository) =>
  (await world.runsOf(repository)).map(({ cause, commit }) => [cause, commit]);

const tipOf = async ({ id }: SeededRepository) => {
  const ref = world.deps.db.selectFrom('source_ref').select('tip').where('repository_id', '=', id);
  return (await ref.executeTakeFirst())?.tip;
};

describe('a push nobody told of', () => {
  it('is built with the cause catch_up, and is a duplicate when it is told of after all', async () => {
    const repository = await newRepository();
    await found(repository, { commit: a, before: null });
    await world.dispatchAll();
    expect(await causesOf(repository)).toEqual([['catch_up', a]]);
    const [run] = await world.runsOf(repository);
    await world.push(repository, { after: a });
    expect(await world.outcomesOf(repository)).toMatchObject([
      { kind: 'runs', runs: [run?.id] },
      { kind: 'duplicate', of: run?.id },
    ]);
  });

  it('told of before it is handled is a duplicate; one that is older than what was told of since starts nothing', async () => {
    const repository = await newRepository();
    await world.push(repository, { after: a });
    await found(repository, { commit: b, before: a });
    await world.push(repository, { after: b });
    await world.push(repository, { after: c });
    expect(await causesOf(repository)).toEqual([
      ['source_push', a],
      ['catch_up', b],
      ['source_push', c],
    ]);
    await found(repository, { commit: 'd'.repeat(40), before: a });
    await world.dispatchAll();
    expect((await world.outcomesOf(repository)).at(-1)).toEqual({ kind: 'ignored', reason: 'no_change' });
    expect(await tipOf(repository)).toBe(c);
  });
});

describe('a missed push that waited while nobody was here to handle it', () => {
  const tip = (commit: string) => new Map([['refs/heads/main', { commit, objectId: commit }]]);

  it('is built as what its ref is by now, once, and the push in between never', async () => {
    const repository = await newRepository();
    await found(repository, { commit: a, before: null });
    world.sourceTips.read.mockResolvedValueOnce(tip(b));
    await world.dispatchAll();
    expect(await causesOf(repository)).toEqual([['catch_up', b]]);
    expect(await tipOf(repository)).toBe(b);
    await world.push(repository, { after: b });
    const [run, ...others] = await world.runsOf(repository);
    expect(others).toEqual([]);
    expect((await world.outcomesOf(repository)).at(-1)).toEqual({ kind: 'duplicate', of: run?.id });
  });

  it('starts nothing when its ref is gone by now, and is built as found when its host does not answer', async () => {
    const [gone, silent] = [await newRepository(), await newRepository()];
    await found(gone, { commit: a, before: null });
    world.sourceTips.read.mockResolvedValueOnce(new Map());
    await world.dispatchAll();
    expect(await world.outcomesOf(gone)).toEqual([{ kind: 'ignored', reason: 'ref_deleted' }]);
    await found(silent, { commit: a, before: null });
    await world.dispatchAll();
    expect(await causesOf(silent)).toEqual([['catch_up', a]]);
  });
});

describe('a push told of after the clock has built its commit', () => {
  it('is a duplicate for that rule, starts the others, and is seen', async () => {
    const { db, secretBox } = world.deps;
    const repository = await newRepository();
    await world.push(repository, { after: a });
    const nightly = await insertAutomaticRun(db, {
      ...{ repositoryId: repository.id, ruleId: repository.ruleId, ref: 'main', commit: b, cause: 'schedule' },
      ...{ since: world.clock(), timings: defaultTimings, queueLimit: 10, at: world.clock() },
    });
    expect(await tipOf(repository)).toBe(a);
    await world.push(repository, { after: b });
    expect((await world.outcomesOf(repository)).at(-1)).toEqual({
      kind: 'duplicate',
      of: 'runId' in nightly ? nightly.runId : '',
    });
    expect(await tipOf(repository)).toBe(b);

    const other = await seedRepository(db, secretBox);
    const ruleId = await seedBuildRule(db, other.id, rule('nightly'));
    const beside = await seedBuildRule(db, other.id, rule('latest'));
    await insertAutomaticRun(db, {
      ...{ repositoryId: other.id, ruleId, ref: 'main', commit: b, cause: 'schedule' },
      ...{ since: world.clock(), timings: defaultTimings, queueLimit: 10, at: world.clock() },
    });
    await world.push(other, { after: b });
    const runs = await world.runsOf(other);
    expect(runs.map((run) => [run.cause, run.build_rule_id])).toEqual([
      ['schedule', ruleId],
      ['source_push', beside],
    ]);
  });
});
