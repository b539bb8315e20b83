import type { ChainSnapshot, DeliveryChainInput, RunOrigin, RunTimings } from '../../domain/chain.ts';
import type { Reason } from '../../domain/errors.ts';
import { failureReason, liveRunStatuses, stepNames } from '../../domain/record.ts';
import type { RunCause, StepName } from '../../domain/record.ts';
import type { RunSource } from '../../domain/source.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { newUuid } from '../new-id.ts';
import type { NewRun, RunRow, RunTrigger } from '../tables/record.ts';
import { recordRunEvent } from './record.ts';
import type { CoveringChain, RunContext } from './run-context.ts';

/** A chain as a run keeps it; what a context holds now becomes what the run will do, whatever changes later. */
export function chainSnapshot(context: RunContext, chain: CoveringChain): ChainSnapshot {
  const { nodes, name } = chain.definition;
  return {
    id: chain.id,
    name,
    version: chain.version,
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
  scan: null,
  isReplicateOn: false,
  isTriggerOn: false,
  replicationRules: [],
  triggers: [],
};

/** A run to be inserted. Ids are made here, so that the workflow's id can hold them. */
export interface RunStart {
  readonly repository: RunContext['repository'];
  readonly chain: ChainSnapshot;
  readonly triggers: readonly RunTrigger[];
  readonly origin: NewOrigin;
  readonly cause: RunCause;
  readonly actor: string | null;
  readonly orderNo: number;
  readonly workflowId: (ids: { runId: string; buildId: string | null }) => string;
  readonly timings: RunTimings;
  readonly at: Date;
  /** Set where the run cannot even begin: it ends at once, failed in its build step. */
  readonly failure?: Reason;
}

/** `RunOrigin` before its build has an id. */
export type NewOrigin = Omit<Extract<RunOrigin, { kind: 'source' }>, 'buildId'> | Extract<RunOrigin, { kind: 'image' }>;

/** A run as far as starting its workflow needs it. */
export type StartableRun = Pick<RunRow, 'id' | 'workflow_id' | 'input' | 'status' | 'build_id'>;

/**
 * Inserts a run with its build, its waiting steps and its first event. The workflow starts after the commit (`api/start-run.ts`).
 * A chain's run takes the chain's next number; a build outside a chain has none.
 */
export async function insertRun(trx: DatabaseTransaction, start: RunStart): Promise<StartableRun> {
  const runId = newUuid(start.at);
  const buildId = start.origin.kind === 'source' ? newUuid(start.at) : null;
  const input = inputOf(start, { runId, buildId, number: await drawRunNumber(trx, start.chain.id) });
  const row = runRow(start, input, start.workflowId({ runId, buildId }));
  const run = await trx
    .insertInto('run')
    .values(row)
    .returning(['id', 'workflow_id', 'input', 'status', 'build_id'])
    .executeTakeFirstOrThrow();
  await insertBuild(trx, start, input);
  await insertSteps(trx, start, runId);
  await recordRunEvent(trx, {
    runId,
    type: 'run.queued',
    data: { cause: start.cause, actor: start.actor },
    at: start.at,
  });
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

function runRow(start: RunStart, input: DeliveryChainInput, workflowId: string): NewRun {
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

async function insertBuild(
  trx: DatabaseTransaction,
  start: RunStart,
  { runId, origin }: DeliveryChainInput,
): Promise<void> {
  if (origin.kind !== 'source') return;
  const { id: ruleId, ...rule } = origin.rule;
  const end =
    start.failure === undefined ? { status: 'pending' as const } : { status: 'failed' as const, ended_at: start.at };
  await trx
    .insertInto('build')
    .values({
      id: origin.buildId,
      run_id: runId,
      repository_id: start.repository.id,
      build_rule_id: ruleId,
      rule: JSON.stringify(rule),
      cause: start.cause,
      ref: origin.source.ref,
      ref_type: origin.source.refType,
      commit: origin.source.commit,
      message: origin.source.message,
      author: origin.source.author,
      image_tags: JSON.stringify(origin.tags),
      reason: JSON.stringify(start.failure === undefined ? null : { ...start.failure, fault: 'user' }),
      queued_at: start.at,
      ...end,
    })
    .execute();
  await trx
    .insertInto('build_architecture')
    .values(
      rule.architectures.map((platform) => ({
        build_id: origin.buildId,
        platform,
        reason: JSON.stringify(null),
        ...(start.failure === undefined
          ? { status: 'pending' as const }
          : { status: 'canceled' as const, ended_at: start.at }),
      })),
    )
    .execute();
}

async function insertSteps(trx: DatabaseTransaction, { failure, at }: RunStart, runId: string): Promise<void> {
  const stateOf = (name: StepName) => {
    if (failure === undefined) return { state: 'waiting' as const, reason: JSON.stringify(null) };
    return name === 'build'
      ? { state: 'failed' as const, reason: JSON.stringify(failure), ended_at: at }
      : { state: 'skipped' as const, why: 'not_reached' as const, reason: JSON.stringify(null), ended_at: at };
  };
  await trx
    .insertInto('run_step')
    .values(
      stepNames.map((name, ordinal) => ({
        run_id: runId,
        attempt: 1,
        name,
        ordinal,
        result: JSON.stringify(null),
        ...stateOf(name),
      })),
    )
    .execute();
}

async function recordFailure(
  trx: DatabaseTransaction,
  { runId, failure, at }: { runId: string; failure: Reason; at: Date },
): Promise<void> {
  const reason = failureReason('build', failure);
  await recordRunEvent(trx, { runId, type: 'step.failed', data: { step: 'build', why: null, reason: failure }, at });
  await recordRunEvent(trx, { runId, type: 'run.failed', data: { reason }, at });
}

/** The live run of a rule for one commit of a ref: there is at most one (unique index `run_live_build`). */
export async function findLiveRun(
  trx: DatabaseTransaction,
  { ruleId, ref, refType, commit }: Pick<RunSource, 'ref' | 'refType' | 'commit'> & { ruleId: string },
): Promise<StartableRun | undefined> {
  return ofBuild(trx, { ruleId, ref, refType, commit }).where('status', 'in', liveRunStatuses).executeTakeFirst();
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
    .select(['id', 'workflow_id', 'input', 'status', 'build_id'])
    .where('build_rule_id', '=', ruleId)
    .where('ref_type', '=', refType)
    .where('ref', '=', ref)
    .where('commit', '=', commit)
    .orderBy('order_no', 'desc')
    .limit(1);
}

/** Notes that a run's workflow was started; answers the run's status then, so that a cancellation in between is seen. */
export async function noteRunStarted(
  db: Database,
  { runId, workflowRunId, at }: { runId: string; workflowRunId: string | null; at: Date },
): Promise<RunRow['status'] | undefined> {
  const row = await db
    .updateTable('run')
    .set((eb) => ({
      started_note_at: eb.fn.coalesce('started_note_at', eb.val(at)),
      ...(workflowRunId === null ? {} : { workflow_run_id: workflowRunId }),
    }))
    .where('id', '=', runId)
    .returning('status')
    .executeTakeFirst();
  return row?.status;
}

/** Queued runs whose start was never noted, the oldest first: a crash after the commit, or Temporal was away. */
export async function listUnstartedRuns(
  db: Database,
  { queuedBefore, limit }: { queuedBefore: Date; limit: number },
): Promise<StartableRun[]> {
  return db
    .selectFrom('run')
    .select(['id', 'workflow_id', 'input', 'status', 'build_id'])
    .where('started_note_at', 'is', null)
    .where('status', '=', 'queued')
    .where('queued_at', '<', queuedBefore)
    .orderBy('queued_at')
    .orderBy('order_no')
    .limit(limit)
    .execute();
}
