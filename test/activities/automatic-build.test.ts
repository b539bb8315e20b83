import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAutomaticBuildActivities } from '../../activities/automatic-build.ts';
import type { AutomaticBuildInput, RuleSchedules } from '../../activities/automatic-build.ts';
import type { Git } from '../../activities/drivers/git.ts';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import type { ScheduledRule } from '../../db/repositories/build-schedule.ts';
import { startChannel } from '../../db/repositories/run-concurrency.ts';
import { createListener } from '../../db/listener.ts';
import { defaultTimings } from '../../domain/chain.ts';
import { SourceError } from '../../domain/source-error.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { runActivity } from '../support/run-activity.ts';
import { storedLogins } from '../support/source-logins.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';

const secretBox = createSecretBox({ keys: [randomBytes(32)] });
const at = new Date('2026-11-21T03:00:00Z');
const commit = 'a'.repeat(40);
const onMain = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'other' }] };
const nightly = { cron: '0 3 * * *', timeZone: 'UTC' };

let world: TestDatabase;
beforeAll(async () => {
  world = await createTestDatabase();
});
afterAll(() => world.close());

async function newRule(change: Readonly<Record<string, unknown>> = {}) {
  const repository = await seedRepository(world.db, secretBox);
  const definition = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }], schedule: nightly };
  const ruleId = await seedBuildRule(world.db, repository.id, { ...definition, ...change });
  return { repository, ruleId };
}

function activities() {
  const refResolve = vi.fn<Git['refResolve']>(async () => commit);
  const schedules = new Map<string, ScheduledRule>();
  const ruleSchedules = {
    list: async () => [...schedules.values()],
    put: vi.fn<RuleSchedules['put']>(async (rule) => void schedules.set(rule.ruleId, rule)),
    remove: vi.fn<RuleSchedules['remove']>(async (ruleId) => void schedules.delete(ruleId)),
  };
  const created = createAutomaticBuildActivities({
    db: world.db,
    git: { refResolve },
    sourceLogins: storedLogins(async () => ''),
    ruleSchedules,
    timings: defaultTimings,
    queueLimit: 2,
    clock: () => at,
  });
  return {
    refResolve,
    schedules,
    ruleSchedules,
    start: (input: Partial<AutomaticBuildInput> & { ruleId: string }) =>
      runActivity(created.startAutomaticBuild, { cause: 'schedule', ref: null, sinceMs: at.getTime(), ...input }),
    apply: () => runActivity(created.applyRuleSchedules, undefined),
  };
}

const runsOf = (ruleId: string) =>
  world.db.selectFrom('run').selectAll().where('build_rule_id', '=', ruleId).orderBy('order_no').execute();

async function notedOn(ruleId: string) {
  const rule = await world.db
    .selectFrom('build_rule')
    .select('last_automatic_start')
    .where('id', '=', ruleId)
    .executeTakeFirst();
  return rule?.last_automatic_start;
}

const runIdOf = (result: object): unknown => ('runId' in result ? result.runId : undefined);

describe('a build started by the clock', () => {
  test('is a run of what the ref is now, with its cause and its build', async () => {
    const { repository, ruleId } = await newRule();
    await seedChain(world.db, repository.instanceId, {
      name: 'chain',
      scope: { namespace: repository.namespace, repository: repository.name },
    });
    const { start, refResolve } = activities();
    const started = await start({ ruleId });
    expect(refResolve).toHaveBeenCalledWith(expect.any(String), 'refs/heads/main', expect.anything());
    const [run] = await runsOf(ruleId);
    expect(started).toEqual({ kind: 'started', runId: run?.id });
    expect(run).toMatchObject({ cause: 'schedule', actor: null, ref: 'main', commit, number: 1, status: 'queued' });
    expect(run?.build_id).not.toBeNull();
    expect(await notedOn(ruleId)).toEqual({
      ...{ cause: 'schedule', ref: 'main', outcome: 'started', run: run?.id, reason: null },
      at: at.toISOString(),
    });
  });

  test('is started once by an occurrence that is told of twice, and again by the next, whatever the commit', async () => {
    const { ruleId } = await newRule();
    const { start } = activities();
    const first = await start({ ruleId });
    await world.db
      .updateTable('run')
      .set({ status: 'complete', ended_at: at })
      .where('build_rule_id', '=', ruleId)
      .execute();
    expect(await start({ ruleId })).toEqual({ ...first, kind: 'already' });
    expect(await start({ ruleId, sinceMs: at.getTime() + 1 })).toMatchObject({ kind: 'started' });
    expect(await runsOf(ruleId)).toHaveLength(2);
  });

  test('is the live run where the same commit is being built', async () => {
    const { ruleId } = await newRule();
    const { start } = activities();
    const live = await start({ ruleId, cause: 'base_image' });
    expect(await start({ ruleId })).toEqual({ ...live, kind: 'already' });
    // Told once: the start that made the run stays the one that is noted.
    expect(await notedOn(ruleId)).toMatchObject({ cause: 'base_image', outcome: 'started', run: runIdOf(live) });
  });

  test('is announced to the processes that start workflows', async () => {
    const { ruleId } = await newRule();
    const listener = createListener({ url: world.url, channels: [startChannel], onError: () => undefined });
    const heard: (string | null)[] = [];
    listener.on(startChannel, (payload) => heard.push(payload));
    await listener.start();
    const started = await activities().start({ ruleId });
    await expect.poll(() => heard).toContain('runId' in started ? started.runId : '');
    await listener.stop();
  });

  test('leaves what was seen of the ref as it is: a push other rules wait for is still found', async () => {
    const { repository, ruleId } = await newRule();
    await activities().start({ ruleId });
    const ref = await world.db
      .selectFrom('source_ref')
      .selectAll()
      .where('repository_id', '=', repository.id)
      .execute();
    expect(ref).toMatchObject([{ ref: 'heads/main', tip: null }]);
  });

  test('starts nothing for a rule that is gone or disabled, without a source, or without the ref', async () => {
    const { repository, ruleId } = await newRule();
    const disabled = await seedBuildRule(world.db, repository.id, {
      ref: { type: 'branch', name: 'main' },
      imageTags: [{ template: 'x' }],
      enabled: false,
    });
    const { start, refResolve } = activities();
    expect(await start({ ruleId: randomUUID() })).toEqual({ kind: 'rule_changed' });
    expect(await start({ ruleId: disabled })).toEqual({ kind: 'rule_changed' });
    refResolve.mockResolvedValueOnce(undefined);
    expect(await start({ ruleId })).toEqual({ kind: 'ref_gone' });
    expect(await notedOn(ruleId)).toMatchObject({
      ...{ cause: 'schedule', outcome: 'not_started', run: null },
      reason: { code: 'source.ref_not_found', text: expect.stringContaining('no branch "main"') },
    });
    await world.db.deleteFrom('source_binding').where('repository_id', '=', repository.id).execute();
    expect(await start({ ruleId })).toEqual({ kind: 'no_source' });
    expect(await notedOn(ruleId)).toMatchObject({
      outcome: 'not_started',
      reason: { code: 'build_rule.needs_source' },
    });
    expect(await runsOf(ruleId)).toEqual([]);
  });

  test('gives up at once where the login is refused, and is tried again where the host is away', async () => {
    const { ruleId } = await newRule();
    const { start, refResolve } = activities();
    refResolve.mockRejectedValueOnce(new SourceError('source.not_authorized', 'The login is refused.'));
    await expect(start({ ruleId })).rejects.toMatchObject({ nonRetryable: true, type: 'source.not_authorized' });
    expect(await notedOn(ruleId)).toMatchObject({
      outcome: 'not_started',
      reason: { code: 'source.not_authorized', text: 'The login is refused.' },
    });
    refResolve.mockRejectedValueOnce(new SourceError('source.not_reachable', 'The host is away.'));
    await expect(start({ ruleId })).rejects.toBeInstanceOf(SourceError);
    expect(await notedOn(ruleId)).toMatchObject({
      reason: {
        code: 'source.not_reachable',
        text: 'The host is away. Slipway tries again for half an hour, then leaves this time out.',
      },
    });
  });

  test('waits, as a push does, while the line of builds of its namespace is full', async () => {
    const { repository, ruleId } = await newRule();
    const { start } = activities();
    const others = [
      await seedBuildRule(world.db, repository.id, onMain),
      await seedBuildRule(world.db, repository.id, onMain),
    ];
    for (const other of others) expect(await start({ ruleId: other })).toMatchObject({ kind: 'started' });
    await expect(start({ ruleId })).rejects.toMatchObject({ code: 'build.queue_full' });
    expect(await runsOf(ruleId)).toEqual([]);
    expect(await notedOn(ruleId)).toMatchObject({ outcome: 'not_started', reason: { code: 'build.queue_full' } });
    await expect(start({ ruleId, cause: 'base_image' })).rejects.toMatchObject({ code: 'build.queue_full' });
    expect(await notedOn(ruleId)).toMatchObject({
      reason: { text: expect.stringContaining('tries again every five minutes') },
    });

    await world.db
      .updateTable('build')
      .set({ status: 'success', ended_at: at })
      .where('build_rule_id', '=', others[0] ?? '')
      .execute();
    expect(await start({ ruleId })).toMatchObject({ kind: 'started' });
    expect(await notedOn(ruleId)).toMatchObject({ outcome: 'started', reason: null });
  });

  test('that fails by a defect of ours says that the log tells why', async () => {
    const { ruleId } = await newRule();
    const { start, refResolve } = activities();
    refResolve.mockRejectedValueOnce(new Error('a defect'));
    await expect(start({ ruleId })).rejects.toThrow('a defect');
    expect(await notedOn(ruleId)).toMatchObject({ reason: { code: 'internal' } });
  });
});

describe("the engine's schedules of rules", () => {
  test('become what the rules say: made, replaced when they change, gone with the rule, the switch or the source', async () => {
    const kept = await newRule();
    const changed = await newRule();
    const disabled = await newRule({ enabled: false });
    const without = await newRule({ schedule: null });
    const unbound = await newRule();
    await world.db.deleteFrom('source_binding').where('repository_id', '=', unbound.repository.id).execute();
    const { apply, schedules, ruleSchedules } = activities();
    const stale = { ruleId: randomUUID(), ...nightly };
    schedules.set(stale.ruleId, stale);
    schedules.set(changed.ruleId, { ruleId: changed.ruleId, cron: '0 4 * * *', timeZone: 'UTC' });
    await apply();
    expect(schedules.get(kept.ruleId)).toEqual({ ruleId: kept.ruleId, ...nightly });
    expect(schedules.get(changed.ruleId)).toEqual({ ruleId: changed.ruleId, ...nightly });
    for (const { ruleId } of [disabled, without, unbound, stale]) expect(schedules.has(ruleId)).toBe(false);
    ruleSchedules.put.mockClear();
    expect(await apply()).toEqual({ put: 0, removed: 0 });
    expect(ruleSchedules.put).not.toHaveBeenCalled();
  });
});
