import { ApplicationFailure } from '@temporalio/activity';
import type { Database } from '../db/database.ts';
import { insertAutomaticRun } from '../db/repositories/automatic-run.ts';
import type { AutomaticStarted } from '../db/repositories/automatic-run.ts';
import { listScheduledRules } from '../db/repositories/build-schedule.ts';
import type { ScheduledRule } from '../db/repositories/build-schedule.ts';
import { findBuildRule } from '../db/repositories/build-rule.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import type { RunTimings } from '../domain/chain.ts';
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

/**
 * Builds what a rule's ref is now, by the clock or for a changed base image (docs/product.md, section 7, "Started by"). Failures are
 * the codes of `SourceError`; only `source.not_reachable` is tried again.
 */
async function startAutomaticBuild(
  deps: AutomaticBuildDeps,
  { ruleId, cause, ref: asked, sinceMs }: AutomaticBuildInput,
): Promise<AutomaticBuildResult> {
  const row = await findBuildRule(deps.db, ruleId);
  if (row === undefined) return { kind: 'rule_changed' };
  const { repository_id: repositoryId, definition } = row;
  const ref = asked ?? definition.ref.name;
  const commit = await resolve(deps, { repositoryId, fullRef: `refs/${refFolders[definition.ref.type]}/${ref}` });
  if (commit === null) return { kind: 'no_source' };
  if (commit === undefined) return { kind: 'ref_gone' };
  const since = new Date(sinceMs);
  const { db, timings, clock } = deps;
  return insertAutomaticRun(db, { repositoryId, ruleId, ref, commit, cause, since, timings, at: clock() });
}

const refFolders = { branch: 'heads', tag: 'tags' } as const;

async function resolve(
  { db, git, sourceLogins }: AutomaticBuildDeps,
  { repositoryId, fullRef }: { repositoryId: string; fullRef: string },
): Promise<string | undefined | null> {
  const address = await findSourceAddress(db, repositoryId);
  if (address === undefined) return null;
  const { url, caCertificate } = address;
  try {
    return await heartbeating(async (signal) => {
      const credential = await sourceLogins.git(address, { signal });
      return git.refResolve(url, fullRef, { credential, caCertificate, signal });
    });
  } catch (error) {
    if (!(error instanceof SourceError) || !error.isPermanent) throw error;
    throw ApplicationFailure.nonRetryable(error.message, error.code);
  }
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
