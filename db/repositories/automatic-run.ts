import { buildRuleMatch } from '../../domain/build.ts';
import type { RunTimings } from '../../domain/chain.ts';
import type { RunCause } from '../../domain/record.ts';
import type { RunSource } from '../../domain/source.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { announceStart } from './run-concurrency.ts';
import { findRunContext } from './run-context.ts';
import { startable } from './run-start.ts';
import type { StartableRun } from './run-start.ts';
import { insertSourceRun } from './source-run.ts';
import { advanceSourceRef, lockSourceRef } from './source-ref.ts';

/** A start by the clock or by a changed base image, for what a ref is now. */
export interface AutomaticStart extends Pick<RunSource, 'ref' | 'commit'> {
  readonly repositoryId: string;
  readonly ruleId: string;
  readonly cause: Extract<RunCause, 'schedule' | 'base_image'>;
  /** What the start is due to; a run of this rule and cause queued since then is it. */
  readonly since: Date;
  readonly timings: RunTimings;
  /** How many builds of the namespace may wait for a worker. */
  readonly queueLimit: number;
  readonly at: Date;
}

/** The run, or why there is none: the rule is gone, disabled, or no longer takes the ref. */
export type AutomaticStarted =
  | { readonly kind: 'started'; readonly runId: string }
  | { readonly kind: 'already'; readonly runId: string }
  | { readonly kind: 'rule_changed' };

/**
 * Inserts the run once, however often it is asked, and has its workflow started. Throws `build.queue_full` where the namespace's
 * line of builds is full. The ref's commit is not taken note of as seen: a
 * push that other rules wait for, and nobody told of, is found all the same.
 */
export async function insertAutomaticRun(db: Database, start: AutomaticStart): Promise<AutomaticStarted> {
  const { repositoryId, ruleId, ref, commit, cause, timings, queueLimit, at } = start;
  return db.transaction().execute(async (trx) => {
    const context = await findRunContext(trx, repositoryId);
    const rule = context?.buildRules.find(({ id }) => id === ruleId);
    if (context === undefined || rule === undefined || !rule.enabled) return { kind: 'rule_changed' };
    const refType = rule.ref.type;
    const groups = buildRuleMatch(rule, { ref, refType });
    if (groups === undefined) return { kind: 'rule_changed' };
    await lockSourceRef(trx, { repositoryId, ref, refType });
    const before = await findRunSince(trx, start);
    if (before !== undefined) return { kind: 'already', runId: before };
    const orderNo = await advanceSourceRef(trx, { repositoryId, ref, refType });
    const source: RunSource = { ref, refType, commit, message: null, author: null, pushedAt: at.toISOString() };
    const build = { context, rule, groups, source, cause, actor: null, orderNo, timings, queueLimit, at };
    const { kind, run } = await insertSourceRun(trx, build);
    if (kind === 'live') return { kind: 'already', runId: run.id };
    await announceStart(trx, run.id);
    return { kind: 'started', runId: run.id };
  });
}

async function findRunSince(
  trx: DatabaseTransaction,
  { ruleId, cause, since }: AutomaticStart,
): Promise<string | undefined> {
  const run = await trx
    .selectFrom('run')
    .select('id')
    .where('build_rule_id', '=', ruleId)
    .where('cause', '=', cause)
    .where('queued_at', '>=', since)
    .limit(1)
    .executeTakeFirst();
  return run?.id;
}

/** The newest run of a rule for a ref, when it is of this commit and was started by the clock or a base image. */
export async function findAutomaticRun(
  trx: DatabaseTransaction,
  { ruleId, ref, refType, commit }: Pick<RunSource, 'ref' | 'refType' | 'commit'> & { ruleId: string },
): Promise<StartableRun | undefined> {
  const newest = await trx
    .selectFrom('run')
    .select(startable)
    .select(['commit', 'cause'])
    .where('build_rule_id', '=', ruleId)
    .where('ref_type', '=', refType)
    .where('ref', '=', ref)
    .orderBy('order_no', 'desc')
    .limit(1)
    .executeTakeFirst();
  const isAutomatic = newest?.cause === 'schedule' || newest?.cause === 'base_image';
  return isAutomatic && newest.commit === commit ? newest : undefined;
}
