import type { ChainSnapshot, DeliveryChainInput } from '../../domain/chain.ts';
import { failureReason, runPriority } from '../../domain/record.ts';
import type { RunSource } from '../../domain/source.ts';
import type { DatabaseTransaction } from '../database.ts';
import { newUuid } from '../new-id.ts';
import type { NewRun, RunRow } from '../tables/record.ts';
import { recordRunEvent } from './record.ts';
import type { CoveringChain, RunContext } from './run-context.ts';
import { insertBuild, insertSteps, recordFailure } from './run-parts.ts';
import type { RunStart } from './run-parts.ts';
import { placeOf, supersede } from './run-supersede.ts';
import type { RunPlace } from './run-supersede.ts';

/** A chain as a run keeps it; what a context holds now becomes what the run will do, whatever changes later. */
export function chainSnapshot(context: RunContext, chain: CoveringChain): ChainSnapshot {
  const { nodes, name, concurrency } = chain.definition;
  return {
    id: chain.id,
    name,
    version: chain.version,
    concurrency,
    scan: nodes.scan ?? null,
    isReplicateOn: nodes.replicate !== undefined,
    isTriggerOn: nodes.trigger !== undefined,
    replicationRules: context.replicationRules,
    triggers: context.triggers.map(({ id, definition }) => ({
      id,
      name: definition.name,
      condition: definition.condition,
    })),
  };
}

/** A build outside any chain: it builds and pushes, nothing else. */
export const outsideChain: ChainSnapshot = {
  id: null,
  name: null,
  version: null,
  concurrency: 'parallel',
  scan: null,
  isReplicateOn: false,
  isTriggerOn: false,
  replicationRules: [],
  triggers: [],
};

/** A run as far as starting its workflow needs it. */
export type StartableRun = Pick<RunRow, (typeof startable)[number]>;
export const startable = ['id', 'workflow_id', 'input', 'status', 'build_id', 'is_waiting', 'supersedes_id'] as const;

/**
 * Inserts a run with its build, its waiting steps and its first event, in its place among the runs of its ref or tag. The workflow
 * starts after the commit (`api/start-run.ts`), or when the run before has ended.
 * A chain's run takes the chain's next number; a build outside a chain has none.
 */
export async function insertRun(trx: DatabaseTransaction, start: RunStart): Promise<StartableRun> {
  const place = await placeOf(trx, start);
  const runId = newUuid(start.at);
  const buildId = start.origin.kind === 'source' ? newUuid(start.at) : null;
  const input = inputOf(start, { runId, buildId, number: await drawRunNumber(trx, start.chain.id) });
  const row = runRow(start, { input, place, workflowId: start.workflowId({ runId, buildId }) });
  const run = await trx.insertInto('run').values(row).returning(startable).executeTakeFirstOrThrow();
  await insertBuild(trx, start, input);
  await insertSteps(trx, start, runId);
  await recordRunEvent(trx, {
    runId,
    type: 'run.queued',
    data: { cause: start.cause, actor: start.actor },
    at: start.at,
  });
  await supersede(trx, place, { id: runId, number: input.number, at: start.at });
  if (start.failure !== undefined) await recordFailure(trx, { runId, failure: start.failure, at: start.at });
  return run;
}

async function drawRunNumber(trx: DatabaseTransaction, chainId: string | null): Promise<number> {
  if (chainId === null) return 0;
  const row = await trx
    .updateTable('chain')
    .set((eb) => ({ next_run_number: eb('next_run_number', '+', 1) }))
    .where('id', '=', chainId)
    .returning('next_run_number')
    .executeTakeFirstOrThrow();
  return row.next_run_number - 1;
}

function inputOf(
  { repository, chain, origin, cause, orderNo, timings }: RunStart,
  { runId, buildId, number }: { runId: string; buildId: string | null; number: number },
): DeliveryChainInput {
  return {
    runId,
    number,
    attempt: 1,
    cause,
    orderNo,
    repository,
    chain,
    origin: origin.kind === 'source' ? { ...origin, buildId: buildId ?? '' } : origin,
    timings,
  };
}

function runRow(
  start: RunStart,
  { input, place, workflowId }: { input: DeliveryChainInput; place: RunPlace; workflowId: string },
): NewRun {
  const { repository, chain, origin, failure } = start;
  const source = origin.kind === 'source' ? origin.source : null;
  return {
    id: input.runId,
    number: input.number,
    chain_id: chain.id,
    chain_name: chain.name,
    chain_version: chain.version,
    instance_id: repository.instanceId,
    namespace_id: repository.namespaceId,
    repository_id: repository.id,
    build_rule_id: origin.kind === 'source' ? origin.rule.id : null,
    build_id: input.origin.kind === 'source' ? input.origin.buildId : null,
    cause: start.cause,
    actor: start.actor,
    ref: source?.ref ?? null,
    ref_type: source?.refType ?? null,
    commit: source?.commit ?? null,
    message: source?.message ?? null,
    author: source?.author ?? null,
    tags: JSON.stringify(origin.kind === 'source' ? origin.tags : [origin.tag]),
    digest: origin.kind === 'image' ? origin.digest : null,
    images: JSON.stringify([]),
    order_no: start.orderNo,
    input: JSON.stringify(input),
    trigger_snapshots: JSON.stringify(start.triggers),
    workflow_id: workflowId,
    priority: runPriority(start.cause),
    concurrency_key: place.key,
    is_waiting: place.isWaiting,
    supersedes_id: place.superseded[0]?.id ?? null,
    queued_at: start.at,
    ...(failure === undefined
      ? { status: 'queued' as const, reason: JSON.stringify(null) }
      : {
          status: 'complete' as const,
          result: 'failed' as const,
          reason: JSON.stringify(failureReason('build', failure)),
          ended_at: start.at,
        }),
  };
}

/** The live run of a rule for one commit of a ref, unless it is on its way out: there is at most one (unique index `run_live_build`). */
export async function findLiveRun(
  trx: DatabaseTransaction,
  { ruleId, ref, refType, commit }: Pick<RunSource, 'ref' | 'refType' | 'commit'> & { ruleId: string },
): Promise<StartableRun | undefined> {
  return ofBuild(trx, { ruleId, ref, refType, commit })
    .where('status', 'in', ['queued', 'running'])
    .where('superseded_by_id', 'is', null)
    .executeTakeFirst();
}

/** The newest run, live or ended, of a rule for one commit of a ref. */
export async function findNewestRun(
  trx: DatabaseTransaction,
  { ruleId, ref, refType, commit }: Pick<RunSource, 'ref' | 'refType' | 'commit'> & { ruleId: string },
): Promise<StartableRun | undefined> {
  return ofBuild(trx, { ruleId, ref, refType, commit }).executeTakeFirst();
}

function ofBuild(
  trx: DatabaseTransaction,
  { ruleId, ref, refType, commit }: Pick<RunSource, 'ref' | 'refType' | 'commit'> & { ruleId: string },
) {
  return trx
    .selectFrom('run')
    .select(startable)
    .where('build_rule_id', '=', ruleId)
    .where('ref_type', '=', refType)
    .where('ref', '=', ref)
    .where('commit', '=', commit)
    .orderBy('order_no', 'desc')
    .limit(1);
}
