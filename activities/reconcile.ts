import { setTimeout as delay } from 'node:timers/promises';
import { insertCatchUp } from '../db/repositories/inbox.ts';
import {
  hasPendingDelivery,
  listAutoBuildRules,
  listReconcilable,
  noteReconcileFailed,
  noteReconciled,
} from '../db/repositories/reconcile.ts';
import type { ReconcilableBinding } from '../db/repositories/reconcile.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import { listSeenRefs } from '../db/repositories/source-ref.ts';
import { buildRuleMatch } from '../domain/build.ts';
import type { Reason } from '../domain/errors.ts';
import { compareRefs } from '../domain/reconcile.ts';
import type { DifferingRef } from '../domain/reconcile.ts';
import { SourceError } from '../domain/source-error.ts';
import type { SourceLogins } from './drivers/source-logins.ts';
import type { Git } from './drivers/git.ts';
import { heartbeating } from './heartbeat.ts';
import { inLanes } from './lanes.ts';
import { askForDeliveries } from './redeliver.ts';
import type { RedeliverDeps } from './redeliver.ts';

export interface ReconcileDeps extends RedeliverDeps {
  readonly git: Pick<Git, 'refsList'>;
  readonly sourceLogins: Pick<SourceLogins, 'git' | 'secret'>;
  readonly clock: () => Date;
}

export interface ReconcileInput {
  /** When this round began; bindings looked at since then are done, also by an attempt that was lost. */
  readonly startedAtMs: number;
  /** Only the bindings never compared: their first look makes what is there the base of later ones. */
  readonly isNew: boolean;
  /** How long a delivery may be on its way: a ref found to differ is looked at again after this time. */
  readonly graceMs: number;
}

export interface ReconcileResult {
  readonly compared: number;
  readonly failed: number;
  /** Pushes put into the inbox. */
  readonly missed: number;
}

const hostLanes = 8;
const lanesPerHost = 2;
/** So many bindings of one host in a row that cannot be reached, and the host is left alone until the next round. */
const hostFailures = 3;
const notCompared: Reason = {
  code: 'internal',
  params: {},
  text: 'Slipway could not compare the refs of this source because of an error of its own; its log says more.',
};

interface MissedRefs {
  readonly binding: ReconcilableBinding;
  readonly refs: readonly DifferingRef[];
}

/**
 * Compares the branches and tags of every bound source with what was seen of them, and puts what nobody told of into the inbox
 * (docs/product.md, section 5, "What starts what"). A host that is down delays its own sources only. Errors of ours are thrown
 * once everything else is done.
 */
async function reconcileSources(deps: ReconcileDeps, input: ReconcileInput): Promise<ReconcileResult> {
  return heartbeating(async (signal) => {
    const { startedAtMs, isNew, graceMs } = input;
    const bindings = await listReconcilable(deps.db, { triedBefore: new Date(startedAtMs), isNew });
    const round = { found: new Array<MissedRefs>(), compared: 0, failed: 0, defects: new Array<unknown>() };
    await inLanes([...byHost(bindings).values()], hostLanes, (ofHost) => compareHost(deps, ofHost, { round, signal }));
    if (round.found.length > 0) await delay(graceMs, undefined, { signal });
    let missed = 0;
    for (const found of round.found) missed += await catchUp(deps, found, signal);
    if (round.defects.length > 0) throw round.defects[0];
    return { compared: round.compared, failed: round.failed, missed };
  });
}

interface Round {
  readonly found: MissedRefs[];
  readonly defects: unknown[];
  compared: number;
  failed: number;
}

function byHost(bindings: readonly ReconcilableBinding[]): Map<string, ReconcilableBinding[]> {
  return Map.groupBy(bindings, ({ base_url: url }) => (URL.canParse(url) ? new URL(url).host : url));
}

async function compareHost(
  deps: ReconcileDeps,
  bindings: readonly ReconcilableBinding[],
  { round, signal }: { round: Round; signal: AbortSignal },
): Promise<void> {
  let inARow = 0;
  let down: Reason | undefined;
  await inLanes(bindings, lanesPerHost, async (binding) => {
    signal.throwIfAborted();
    const error = down ?? (await compareOrFail(deps, binding, { round, signal }));
    if (error === null) {
      inARow = 0;
      round.compared += 1;
      return;
    }
    inARow = error.code === 'source.not_reachable' ? inARow + 1 : 0;
    if (inARow >= hostFailures) down = error;
    round.failed += 1;
    await noteReconcileFailed(deps.db, { binding, error, at: deps.clock() });
  });
}

/** Compares one binding; answers why it could not be. */
async function compareOrFail(
  deps: ReconcileDeps,
  binding: ReconcilableBinding,
  { round, signal }: { round: Round; signal: AbortSignal },
): Promise<Reason | null> {
  try {
    const refs = await compareBinding(deps, binding, signal);
    if (refs.length > 0) round.found.push({ binding, refs });
    return null;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SourceError) return { code: error.code, params: error.params, text: error.message };
    round.defects.push(error);
    return notCompared;
  }
}

async function compareBinding(
  deps: ReconcileDeps,
  binding: ReconcilableBinding,
  signal: AbortSignal,
): Promise<readonly DifferingRef[]> {
  const { db, git, sourceLogins, clock } = deps;
  const repositoryId = binding.repository_id;
  const address = await findSourceAddress(db, repositoryId);
  if (address === undefined) return [];
  const { url, caCertificate } = address;
  const credential = await sourceLogins.git(address, { signal });
  // What was seen is read first: a push told of meanwhile then differs from it and is not touched.
  const seen = await listSeenRefs(db, repositoryId);
  const rules = await listAutoBuildRules(db, repositoryId);
  const now = await git.refsList(url, { credential, caCertificate, signal });
  const { missed, noted, gone } = compareRefs({
    seen,
    now,
    isFirst: binding.reconciled_at === null,
    isBuilt: (ref) => rules.some((rule) => buildRuleMatch(rule, ref) !== undefined),
  });
  const isSame = await noteReconciled(db, { binding, noted, gone, at: clock() });
  if (!isSame || missed.length === 0) return [];
  await askForDeliveries(deps, { address, hookId: binding.hook_id, hookRef: binding.hook_ref }, signal);
  return missed;
}

/** Puts into the inbox what still differs; what a delivery has told of meanwhile, or is about to tell of, is left to it. */
async function catchUp({ db }: ReconcileDeps, { binding, refs }: MissedRefs, signal: AbortSignal): Promise<number> {
  const { repository_id: repositoryId, hook_id: hookId } = binding;
  if (await hasPendingDelivery(db, repositoryId)) return 0;
  const seen = new Map((await listSeenRefs(db, repositoryId)).map((ref) => [`${ref.refType}/${ref.ref}`, ref]));
  let missed = 0;
  for (const ref of refs) {
    signal.throwIfAborted();
    const { tip = null, orderNo = 0 } = seen.get(`${ref.refType}/${ref.ref}`) ?? {};
    if (tip !== ref.before || orderNo !== ref.orderNo) continue;
    const { isDuplicate } = await insertCatchUp(db, { repositoryId, hookId, ...ref });
    if (!isDuplicate) missed += 1;
  }
  return missed;
}

export function createReconcileActivities(deps: ReconcileDeps) {
  return {
    reconcileSources: (input: ReconcileInput) => reconcileSources(deps, input),
  };
}
