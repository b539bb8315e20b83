import type { ChainSnapshot, DeliveryChainInput, RunOrigin, RunTimings } from '../../domain/chain.ts';
import { buildRegionOf } from '../../domain/chain.ts';
import type { Reason } from '../../domain/errors.ts';
import { failureReason, stepNames } from '../../domain/record.ts';
import type { RunCause, StepName } from '../../domain/record.ts';
import type { DatabaseTransaction } from '../database.ts';
import { recordRunEvent } from './record.ts';
import type { RunContext } from './run-context.ts';
import type { RunTrigger } from '../tables/record.ts';

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

/** The build of a source run with its architectures; those already built are reused. */
export async function insertBuild(
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
      region: buildRegionOf(start.repository, origin),
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

/** Every step, waiting; or ended at once where the run cannot begin. */
export async function insertSteps(trx: DatabaseTransaction, { failure, at }: RunStart, runId: string): Promise<void> {
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

/** The trail of a run that could not begin. */
export async function recordFailure(
  trx: DatabaseTransaction,
  { runId, failure, at }: { runId: string; failure: Reason; at: Date },
): Promise<void> {
  const reason = failureReason('build', failure);
  await recordRunEvent(trx, { runId, type: 'step.failed', data: { step: 'build', why: null, reason: failure }, at });
  await recordRunEvent(trx, { runId, type: 'run.failed', data: { reason }, at });
}
