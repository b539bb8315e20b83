import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Database } from '../db/database.ts';
import { insertAutomaticRun } from '../db/repositories/automatic-run.ts';
import type { AutomaticStarted } from '../db/repositories/automatic-run.ts';
import { listScheduledRules } from '../db/repositories/build-schedule.ts';
import type { ScheduledRule } from '../db/repositories/build-schedule.ts';
import { findBuildRule, noteAutomaticStart } from '../db/repositories/build-rule.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import type { BuildRuleRow, NotedStart } from '../db/tables/build.ts';
import type { RunTimings } from '../domain/chain.ts';
import { AppError } from '../domain/errors.ts';
import type { Reason } from '../domain/errors.ts';
import type { RunCause } from '../domain/record.ts';
import { SourceError } from '../domain/source-error.ts';
import type { Git } from './drivers/git.ts';
import type { SourceLogins } from './drivers/source-logins.ts';
import { heartbeating } from './heartbeat.ts';

export interface AutomaticBuildDeps {
  readonly db: Database;
  readonly git: Pick<Git, 'refResolve'>;
  readonly sourceLogins: Pick<SourceLogins, 'git'>;
  readonly ruleSchedules: RuleSchedules;
  /** Durations of the runs that are started. */
  readonly timings: RunTimings;
  /** How many builds of a namespace may wait for a worker; past it a start waits, as pushes do. */
  readonly queueLimit: number;
  readonly clock: () => Date;
}

/** The engine's schedules of build rules. */
export interface RuleSchedules {
  list(): Promise<readonly ScheduledRule[]>;
  /** Makes or replaces a rule's schedule. */
  put(rule: ScheduledRule): Promise<void>;
  /** What is already gone is fine. */
  remove(ruleId: string): Promise<void>;
}

export interface AutomaticBuildInput {
  readonly ruleId: string;
  readonly cause: Extract<RunCause, 'schedule' | 'base_image'>;
  /** null: the rule's own, which is exact. */
  readonly ref: string | null;
  /** What the start is due to, in milliseconds since 1970: asked again, it is started once. */
  readonly sinceMs: number;
}

/** What came of it; `no_source` and `ref_gone` are the source's own state. */
export type AutomaticBuildResult = AutomaticStarted | { readonly kind: 'no_source' } | { readonly kind: 'ref_gone' };

/** A start with its ref. */
type Start = AutomaticBuildInput & { readonly ref: string };

/**
 * Builds what a rule's ref is now, by the clock or for a changed base image, and notes on the rule what became of it
 * (docs/product.md, section 7, "Started by"). Failures are the codes of `SourceError`, of which only `source.not_reachable` is tried
 * again, and `build.queue_full`, which is too.
 */
async function startAutomaticBuild(
  deps: AutomaticBuildDeps,
  input: AutomaticBuildInput,
): Promise<AutomaticBuildResult> {
  const row = await findBuildRule(deps.db, input.ruleId);
  if (row === undefined) return { kind: 'rule_changed' };
  const start: Start = { ...input, ref: input.ref ?? row.definition.ref.name };
  try {
    const result = await heartbeating((signal) => insertStart(deps, { row, start, signal }));
    await noteResult(deps, { start, result, refType: row.definition.ref.type });
    return result;
  } catch (error) {
    if (!Context.current().cancellationSignal.aborted)
      await note(deps, start, { ...notStarted, reason: reasonOf(error, start) });
    if (error instanceof SourceError && error.isPermanent)
      throw ApplicationFailure.nonRetryable(error.message, error.code);
    throw error;
  }
}

async function insertStart(
  deps: AutomaticBuildDeps,
  { row, start, signal }: { row: BuildRuleRow; start: Start; signal: AbortSignal },
): Promise<AutomaticBuildResult> {
  const { repository_id: repositoryId, definition } = row;
  const { ruleId, ref, cause } = start;
  const fullRef = `refs/${refFolders[definition.ref.type]}/${ref}`;
  const commit = await resolve(deps, { repositoryId, fullRef, signal });
  if (commit === null) return { kind: 'no_source' };
  if (commit === undefined) return { kind: 'ref_gone' };
  const { db, timings, queueLimit, clock } = deps;
  const since = new Date(start.sinceMs);
  const at = clock();
  return insertAutomaticRun(db, { repositoryId, ruleId, ref, commit, cause, since, timings, queueLimit, at });
}

/** A rule that takes the ref no more has nothing to tell. */
async function noteResult(
  deps: AutomaticBuildDeps,
  { start, result, refType }: { start: Start; result: AutomaticBuildResult; refType: keyof typeof refFolders },
): Promise<void> {
  switch (result.kind) {
    case 'started':
    case 'already':
      return note(deps, start, { outcome: result.kind, run: result.runId, reason: null });
    case 'no_source': {
      const text = 'The repository has no source any more, so there was nothing to build. Bind it again.';
      return note(deps, start, { ...notStarted, reason: { code: 'build_rule.needs_source', params: {}, text } });
    }
    case 'ref_gone': {
      const text = `The source has no ${refType} "${start.ref}" now, so there was nothing to build. Push it, or change the rule.`;
      const reason = { code: 'source.ref_not_found', params: { ref: start.ref }, text };
      return note(deps, start, { ...notStarted, reason });
    }
    case 'rule_changed':
      return undefined;
  }
}

const notStarted = { outcome: 'not_started', run: null } as const;

function note(
  { db, clock }: AutomaticBuildDeps,
  { ruleId, cause, ref }: Start,
  told: Pick<NotedStart, 'outcome' | 'run' | 'reason'>,
): Promise<void> {
  return noteAutomaticStart(db, ruleId, { cause, ref, ...told, at: clock().toISOString() });
}

/** What keeps a start from being made, and what Slipway does about it. */
function reasonOf(error: unknown, { cause }: Start): Reason {
  const again =
    cause === 'schedule'
      ? 'Slipway tries again for half an hour, then leaves this time out.'
      : 'Slipway tries again every five minutes.';
  if (error instanceof SourceError) {
    const { code, params, message } = error;
    return { code, params, text: error.isPermanent ? message : `${message} ${again}` };
  }
  if (error instanceof AppError && error.code === 'build.queue_full') {
    const text = `As many builds of the namespace wait for a worker as may. ${again} Cancel some of them, or add workers.`;
    return { code: error.code, params: {}, text };
  }
  return { code: 'internal', params: {}, text: `Slipway failed to start the build; its log says why. ${again}` };
}

const refFolders = { branch: 'heads', tag: 'tags' } as const;

/** null: the repository has no source; undefined: the source has no such ref. */
async function resolve(
  { db, git, sourceLogins }: AutomaticBuildDeps,
  { repositoryId, fullRef, signal }: { repositoryId: string; fullRef: string; signal: AbortSignal },
): Promise<string | undefined | null> {
  const address = await findSourceAddress(db, repositoryId);
  if (address === undefined) return null;
  const { url, caCertificate } = address;
  const credential = await sourceLogins.git(address, { signal });
  return git.refResolve(url, fullRef, { credential, caCertificate, signal });
}

/** Makes the engine's schedules what the rules say; answers how many were put and removed. */
async function applyRuleSchedules({
  db,
  ruleSchedules,
}: Pick<AutomaticBuildDeps, 'db' | 'ruleSchedules'>): Promise<{ put: number; removed: number }> {
  const wanted = await listScheduledRules(db);
  const there = new Map((await ruleSchedules.list()).map((rule) => [rule.ruleId, rule]));
  const changed = wanted.filter(({ ruleId, cron, timeZone }) => {
    const now = there.get(ruleId);
    return now?.cron !== cron || now.timeZone !== timeZone;
  });
  const kept = new Set(wanted.map(({ ruleId }) => ruleId));
  const gone = [...there.keys()].filter((ruleId) => !kept.has(ruleId));
  for (const rule of changed) await ruleSchedules.put(rule);
  for (const ruleId of gone) await ruleSchedules.remove(ruleId);
  return { put: changed.length, removed: gone.length };
}

export function createAutomaticBuildActivities(deps: AutomaticBuildDeps) {
  return {
    startAutomaticBuild: (input: AutomaticBuildInput) => startAutomaticBuild(deps, input),
    applyRuleSchedules: () => heartbeating(() => applyRuleSchedules(deps)),
  };
}
