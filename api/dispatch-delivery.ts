import { createHash } from 'node:crypto';
import type { DatabaseTransaction } from '../db/database.ts';
import type { PendingDelivery } from '../db/repositories/inbox.ts';
import { findAutomaticRun } from '../db/repositories/automatic-run.ts';
import { findRunContext } from '../db/repositories/run-context.ts';
import type { RunContext } from '../db/repositories/run-context.ts';
import { insertSourceRun, sourceConcurrency } from '../db/repositories/source-run.ts';
import { findNewestRun } from '../db/repositories/run-start.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import { advanceSourceRef, clearSourceRef, lockSourceRef } from '../db/repositories/source-ref.ts';
import { pathsMatch } from '../domain/build-paths.ts';
import { lateOrderNo } from '../domain/chain.ts';
import type { RunTimings } from '../domain/chain.ts';
import { standingOf } from '../domain/late-push.ts';
import type { Standing } from '../domain/late-push.ts';
import { isPlainOutsideId, workflowIds } from '../domain/run-id.ts';
import type { IgnoredReason, InboxOutcome, RunSource, SourceChange, SourceChangeOutcome } from '../domain/source.ts';
import { rulesOf } from './look-up-delivery.ts';
import type { LookedUpDelivery, RuleMatch } from './look-up-delivery.ts';
import { sourceHosts } from './source-hosts/index.ts';

/** What a delivery came to, and the runs whose workflows start after the commit. */
export interface Dispatched {
  readonly outcome: InboxOutcome;
  readonly changes: readonly SourceChangeOutcome[];
  readonly runs: readonly StartableRun[];
}

/** What became of one change of one delivery. */
type ChangeOutcome =
  | { readonly kind: 'runs'; readonly runs: readonly StartableRun[] }
  | Extract<InboxOutcome, { kind: 'ignored' | 'duplicate' | 'superseded' }>;

interface DispatchOptions {
  readonly timings: RunTimings;
  readonly at: Date;
  /** How many builds of the namespace may wait for a worker; a delivery that finds no room at all waits in the inbox. */
  readonly queueLimit: number;
}

/**
 * Splits a delivery into changes, matches the build rules of the bound repository and inserts a run for each that takes the ref,
 * all in the caller's transaction (docs/product.md, section 5, "What starts what"). Everything in the payload is a claim: only
 * the repository the hook is bound to is acted on. Throws 429 `build.queue_full` where the delivery has to wait.
 */
export async function dispatchDelivery(
  trx: DatabaseTransaction,
  delivery: PendingDelivery,
  { parsed, tips, ...options }: LookedUpDelivery & DispatchOptions,
): Promise<Dispatched> {
  if (parsed.kind !== 'changes') return { outcome: parsed, changes: [], runs: [] };
  const context = await findRunContext(trx, delivery.repository_id);
  if (context === undefined || delivery.code_namespace === null)
    return { outcome: ignored('unbound'), changes: [], runs: [] };
  await lockRefs(trx, context, parsed.changes);
  const outcomes: { change: SourceChange; outcome: ChangeOutcome }[] = [];
  for (const [index, told] of parsed.changes.entries()) {
    const deliveryId = index === 0 ? delivery.delivery_id : `${delivery.delivery_id}.${index}`;
    const standing = standingOf(told, tips);
    const change = changeOf(delivery, { told, standing });
    outcomes.push({
      change,
      outcome: await dispatchChange(trx, {
        delivery: { ...delivery, delivery_id: deliveryId },
        context,
        change,
        standing: standingOf(change, tips),
        isFirst: outcomes.every(({ outcome }) => outcome.kind !== 'runs'),
        ...options,
      }),
    });
  }
  return sumUp(outcomes);
}

/**
 * Locks the refs of a delivery of several before anything else is: a run's number is drawn under its chain's lock, and whoever held
 * one ref and waited for the chain would wait for ever for a delivery that holds the chain and wants that ref.
 */
async function lockRefs(
  trx: DatabaseTransaction,
  context: RunContext,
  changes: readonly SourceChange[],
): Promise<void> {
  if (changes.length < 2) return;
  const built = changes.filter((change) => !change.isDeleted && rulesOf(context, change).length > 0);
  const keyOf = ({ ref, refType }: SourceChange) => `${refType}/${ref}`;
  for (const { ref, refType } of built.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)))
    await lockSourceRef(trx, { repositoryId: context.repository.id, ref, refType });
}

/** A signed word holds; our own of a missed push may have waited while nobody was here, so what the ref is by now is built. */
function changeOf(
  { host, cause }: Pick<PendingDelivery, 'host' | 'cause'>,
  { told, standing }: { told: SourceChange; standing: Standing },
): SourceChange {
  if (cause === 'catch_up') return standing.kind === 'late' ? asFound(told, standing) : told;
  return sourceHosts[host].isBodySigned ? told : asFound(told, standing);
}

/** What a host's unsigned word comes to: the ref as it was read, whatever the body says of it. */
function asFound(told: SourceChange, standing: Standing): SourceChange {
  switch (standing.kind) {
    case 'newest':
      return { ...told, commit: standing.commit, isDeleted: false };
    case 'late':
      return { ...told, commit: standing.tip, message: null, author: null, isDeleted: false, paths: null };
    case 'gone':
    case 'unknown':
      return { ...told, commit: null, isDeleted: true };
  }
}

/** One run among the outcomes says more than what was ignored beside it. */
function sumUp(outcomes: readonly { change: SourceChange; outcome: ChangeOutcome }[]): Dispatched {
  const runs = outcomes.flatMap(({ outcome }) => (outcome.kind === 'runs' ? outcome.runs : []));
  const changes = outcomes.map(({ change: { ref, refType, commit }, outcome }) => ({
    ref,
    refType,
    commit,
    ...told(outcome),
  }));
  const of = (kind: ChangeOutcome['kind']) => outcomes.find(({ outcome }) => outcome.kind === kind)?.outcome;
  const first = of('duplicate') ?? of('superseded') ?? of('ignored') ?? ignored('no_change');
  return { outcome: runs.length > 0 ? told({ kind: 'runs', runs }) : told(first), changes, runs };
}

function told(outcome: ChangeOutcome): Exclude<InboxOutcome, { kind: 'invalid' }> {
  return outcome.kind === 'runs' ? { kind: 'runs', runs: outcome.runs.map((run) => run.id) } : outcome;
}

interface ChangeToDispatch extends DispatchOptions {
  readonly delivery: PendingDelivery;
  readonly context: RunContext;
  readonly change: SourceChange;
  readonly standing: Standing;
  /** Nothing was started for the delivery yet: only then may it be told to wait, or one of many refs would never be built. */
  readonly isFirst: boolean;
}

async function dispatchChange(trx: DatabaseTransaction, todo: ChangeToDispatch): Promise<ChangeOutcome> {
  const { change, context, standing, delivery } = todo;
  const repositoryId = context.repository.id;
  if (change.isFork) return ignored('fork');
  if (change.isDeleted || change.commit === null) {
    await clearSourceRef(trx, { repositoryId, ref: change.ref, refType: change.refType });
    return ignored('ref_deleted');
  }
  const matches = rulesOf(context, change);
  const rules = matches.filter(({ rule }) => rule.enabled);
  if (matches.length === 0) return ignored('no_rule');
  if (rules.length === 0) return ignored('rule_disabled');
  if (!context.isAutoBuild) return ignored('auto_build_off');
  if (standing.kind === 'gone') return ignored('ref_deleted');
  const commit = standing.kind === 'newest' ? standing.commit : change.commit;
  const source = sourceOf(change, commit, delivery.received_at);
  const { tip } = await lockSourceRef(trx, { repositoryId, ref: source.ref, refType: source.refType });
  return dispatchToRules(trx, { ...todo, rules, source, tip });
}

interface RulesToDispatch extends ChangeToDispatch {
  readonly rules: readonly RuleMatch[];
  readonly source: RunSource;
  /** The ref's commit as last seen. */
  readonly tip: string | null;
}

/** The ref's lock is held. */
async function dispatchToRules(trx: DatabaseTransaction, todo: RulesToDispatch): Promise<ChangeOutcome> {
  const { change, context, delivery, standing, rules, source, tip } = todo;
  const { ref, refType, commit } = source;
  const built = await runsOf(trx, rules, { source, isSeen: tip === commit });
  const open = rules.filter(({ rule }) => !built.has(rule.id));
  const [same] = built.values();
  if (open.length === 0 && same !== undefined && (tip === commit || standing.kind === 'late'))
    return { kind: 'duplicate', of: same.id };
  // Found missing while it was on its way: the ref has been told of since.
  if (delivery.cause === 'catch_up' && tip !== change.before && tip !== commit) return ignored('no_change');
  if (standing.kind === 'late') {
    if (sourceConcurrency(context, source.refType) !== 'parallel') return { kind: 'superseded', by: standing.tip };
    return startRules(trx, { ...todo, rules: open, orderNo: lateOrderNo });
  }
  const orderNo = await advanceSourceRef(trx, { repositoryId: context.repository.id, ref, refType, tip: commit });
  const touched = open.filter(({ rule }) => pathsMatch(rule.paths, pathsSince(todo)));
  if (touched.length > 0) return startRules(trx, { ...todo, rules: touched, orderNo });
  return same === undefined ? ignored('paths') : { kind: 'duplicate', of: same.id };
}

/** A push lists what it touched since the commit before it; that is all there is only where that commit was seen. */
function pathsSince({ change, source, tip }: RulesToDispatch): readonly string[] | null {
  return tip !== null && (tip === change.before || tip === source.commit) ? change.paths : null;
}

/** All rules of a change share one order number. */
async function startRules(
  trx: DatabaseTransaction,
  todo: RulesToDispatch & { orderNo: number },
): Promise<ChangeOutcome> {
  const { context, delivery, change, rules, source, orderNo, timings, at, isFirst, queueLimit } = todo;
  const starts = [];
  for (const { rule, groups } of rules) {
    const start = await insertSourceRun(trx, {
      context,
      rule,
      groups,
      source,
      cause: delivery.cause,
      actor: change.actor,
      orderNo,
      timings,
      at,
      ...(isFirst && starts.length === 0 ? { queueLimit } : {}),
      chainWorkflowId: (chainId) =>
        workflowIds.runOfDelivery({
          chainId,
          hookId: delivery.hook_id,
          deliveryId: plainId(delivery.delivery_id),
          ruleId: rule.id,
        }),
    });
    starts.push(start);
  }
  const runs = starts.filter(({ kind }) => kind === 'started').map(({ run }) => run);
  const live = starts.find(({ kind }) => kind === 'live');
  return runs.length === 0 && live !== undefined ? { kind: 'duplicate', of: live.run.id } : { kind: 'runs', runs };
}

/**
 * The run each rule already has for this commit: where the ref has not moved since, the same push told twice; else a start by the
 * clock or a base image that came before its push was told.
 */
async function runsOf(
  trx: DatabaseTransaction,
  rules: readonly RuleMatch[],
  { source, isSeen }: { source: RunSource; isSeen: boolean },
): Promise<Map<string, StartableRun>> {
  const built = new Map<string, StartableRun>();
  for (const { rule } of rules) {
    const find = isSeen ? findNewestRun : findAutomaticRun;
    const run = await find(trx, { ruleId: rule.id, ...source });
    if (run !== undefined) built.set(rule.id, run);
  }
  return built;
}

function sourceOf(change: SourceChange, commit: string, receivedAt: Date): RunSource {
  const { ref, refType, message, author, pushedAt } = change;
  return { ref, refType, commit, message, author, pushedAt: pushedAt ?? receivedAt.toISOString() };
}

/** An outside id as it may stand in a workflow's id. */
function plainId(id: string): string {
  return isPlainOutsideId(id) ? id : createHash('sha256').update(id).digest('hex');
}

function ignored(reason: IgnoredReason): { kind: 'ignored'; reason: IgnoredReason } {
  return { kind: 'ignored', reason };
}
