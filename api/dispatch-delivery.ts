import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { DatabaseTransaction } from '../db/database.ts';
import type { PendingDelivery } from '../db/repositories/inbox.ts';
import { findRunContext } from '../db/repositories/run-context.ts';
import type { IdentifiedBuildRule, RunContext } from '../db/repositories/run-context.ts';
import { findNewestRun } from '../db/repositories/run-start.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import { advanceSourceRef, clearSourceRef, lockSourceRef } from '../db/repositories/source-ref.ts';
import { buildRuleMatch } from '../domain/build.ts';
import type { RunTimings } from '../domain/chain.ts';
import { limits } from '../domain/limits.ts';
import { isPlainOutsideId, workflowIds } from '../domain/run-id.ts';
import type { IgnoredReason, InboxOutcome, RunSource, SourceChange } from '../domain/source.ts';
import { insertSourceRun } from '../db/repositories/source-run.ts';
import { sourceHosts } from './source-hosts/index.ts';
import type { ParsedDelivery } from './source-hosts/source-host.ts';

/** What a delivery came to, and the runs whose workflows start after the commit. */
export interface Dispatched {
  readonly outcome: InboxOutcome;
  readonly runs: readonly StartableRun[];
}

/** What became of one change of one delivery. */
type ChangeOutcome =
  | { readonly kind: 'runs'; readonly runs: readonly StartableRun[] }
  | Extract<InboxOutcome, { kind: 'ignored' | 'duplicate' }>;

interface DispatchOptions {
  readonly timings: RunTimings;
  readonly at: Date;
}

/**
 * Splits a delivery into changes, matches the build rules of the bound repository and inserts a run for each that takes the ref,
 * all in the caller's transaction (docs/product.md, section 5, "What starts what"). Everything in the payload is a claim: only
 * the repository the hook is bound to is acted on.
 */
export async function dispatchDelivery(
  trx: DatabaseTransaction,
  delivery: PendingDelivery,
  options: DispatchOptions,
): Promise<Dispatched> {
  const parsed = await parseDelivery(delivery);
  if (parsed.kind !== 'changes') return { outcome: parsed, runs: [] };
  const context = await findRunContext(trx, delivery.repository_id);
  if (context === undefined) return { outcome: ignored('unbound'), runs: [] };
  const outcomes: ChangeOutcome[] = [];
  for (const [index, change] of parsed.changes.entries()) {
    const deliveryId = index === 0 ? delivery.delivery_id : `${delivery.delivery_id}.${index}`;
    outcomes.push(
      await dispatchChange(trx, { delivery: { ...delivery, delivery_id: deliveryId }, context, change, ...options }),
    );
  }
  return sumUp(outcomes);
}

async function parseDelivery(delivery: PendingDelivery): Promise<ParsedDelivery> {
  const { code_namespace: codeNamespace, code_repository: codeRepository, body } = delivery;
  if (codeNamespace === null || codeRepository === null || body === null) return ignored('unbound');
  const raw = await promisify(gunzip)(body, { maxOutputLength: limits.hookBodyBytes });
  return sourceHosts[delivery.host].parse(delivery.event, raw, { codeNamespace, codeRepository });
}

/** One run among the outcomes says more than what was ignored beside it. */
function sumUp(outcomes: readonly ChangeOutcome[]): Dispatched {
  const runs = outcomes.flatMap((outcome) => (outcome.kind === 'runs' ? outcome.runs : []));
  if (runs.length > 0) return { outcome: { kind: 'runs', runs: runs.map((run) => run.id) }, runs };
  const duplicate = outcomes.find((outcome) => outcome.kind === 'duplicate');
  const first = outcomes.find((outcome) => outcome.kind === 'ignored');
  return { outcome: duplicate ?? first ?? ignored('no_change'), runs: [] };
}

interface ChangeToDispatch extends DispatchOptions {
  readonly delivery: PendingDelivery;
  readonly context: RunContext;
  readonly change: SourceChange;
}

async function dispatchChange(trx: DatabaseTransaction, todo: ChangeToDispatch): Promise<ChangeOutcome> {
  const { change, context, delivery } = todo;
  const repositoryId = context.repository.id;
  if (change.isFork) return ignored('fork');
  if (change.isDeleted || change.commit === null) {
    await clearSourceRef(trx, { repositoryId, ref: change.ref, refType: change.refType });
    return ignored('ref_deleted');
  }
  const matches = matchingRules(context, change);
  const rules = matches.filter(({ rule }) => rule.enabled);
  if (matches.length === 0) return ignored('no_rule');
  if (rules.length === 0) return ignored('rule_disabled');
  if (!context.isAutoBuild) return ignored('auto_build_off');
  const source = sourceOf(change, change.commit, delivery.received_at);
  const { tip } = await lockSourceRef(trx, { repositoryId, ref: source.ref, refType: source.refType });
  const built = tip === source.commit ? await runsOf(trx, rules, source) : new Map<string, StartableRun>();
  const open = rules.filter(({ rule }) => !built.has(rule.id));
  const [same] = built.values();
  if (open.length === 0 && same !== undefined) return { kind: 'duplicate', of: same.id };
  return startRules(trx, { ...todo, rules: open, source });
}

/** The order number is drawn under the ref's lock, once for all rules of the change. */
async function startRules(
  trx: DatabaseTransaction,
  {
    context,
    delivery,
    change,
    rules,
    source,
    timings,
    at,
  }: ChangeToDispatch & { rules: readonly RuleMatch[]; source: RunSource },
): Promise<ChangeOutcome> {
  const { ref, refType, commit } = source;
  const orderNo = await advanceSourceRef(trx, { repositoryId: context.repository.id, ref, refType, tip: commit });
  const starts = [];
  for (const { rule, groups } of rules) {
    const start = await insertSourceRun(trx, {
      context,
      rule,
      groups,
      source,
      cause: 'source_push',
      actor: change.actor,
      orderNo,
      timings,
      at,
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

interface RuleMatch {
  readonly rule: IdentifiedBuildRule;
  readonly groups: Readonly<Record<string, string>>;
}

function matchingRules({ buildRules }: RunContext, change: SourceChange): RuleMatch[] {
  return buildRules.flatMap((rule) => {
    const groups = buildRuleMatch(rule, change);
    return groups === undefined ? [] : [{ rule, groups }];
  });
}

/** The run each rule already has for this commit, where the ref has not moved since: the same push told twice. */
async function runsOf(
  trx: DatabaseTransaction,
  rules: readonly RuleMatch[],
  source: RunSource,
): Promise<Map<string, StartableRun>> {
  const built = new Map<string, StartableRun>();
  for (const { rule } of rules) {
    const run = await findNewestRun(trx, { ruleId: rule.id, ...source });
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
