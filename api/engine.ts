import {
  Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
  isGrpcServiceError,
} from '@temporalio/client';
import type { Connection, WorkflowOptions } from '@temporalio/client';
import type { DeliveryChainInput } from '../domain/chain.ts';
import { AppError } from '../domain/errors.ts';
import { runPriority } from '../domain/record.ts';
import { workflowIds } from '../domain/run-id.ts';
import { taskQueues } from '../domain/task-queues.ts';
import type { CommitStatusInput } from '../workflows/commit-status.ts';
import type { commitStatus, deliveryChain, triggerDelivery } from '../workflows/index.ts';
import { searchAttributes } from '../workflows/search-attributes.ts';
import type { TriggerDeliveryInput } from '../workflows/trigger.ts';

/** Every call to Temporal ends within this time; a request never waits longer for an engine that is away. */
const callMs = 2_000;
const retryAfterSeconds = 5;
/** The name of `commitChangedSignal`; its module belongs to the workflows' bundle. */
const commitChanged = 'commitChanged';

/**
 * The durable engine behind runs and deliveries, as the API sees it. Starting is idempotent by workflow id: one that runs, or ran,
 * counts as started. Throws 503 `temporal.unreachable` when there is no answer within two seconds.
 */
export interface Engine {
  /**
   * Starts a run's workflow; what a person waits for goes first, and namespaces share the queues fairly. The answer is the engine's own id of this execution, null when it had ended before.
   */
  startRun(input: DeliveryChainInput, workflowId: string): Promise<{ readonly workflowRunId: string | null }>;
  /** Asks a run's workflow to cancel; `not_found` when none is running under this id. */
  cancelRun(workflowId: string): Promise<'canceling' | 'not_found'>;
  /** Starts one delivery's attempts anew. */
  startDelivery(input: TriggerDeliveryInput): Promise<void>;
  /** Tells the workflow of a commit's status of a change; starts it where none runs. */
  signalCommitStatus(input: CommitStatusInput): Promise<void>;
  isReachable(): Promise<boolean>;
  close(): Promise<void>;
}

export interface EngineOptions {
  /** Made lazily: the API starts, and accepts hooks, without Temporal. */
  readonly connection: Connection;
  readonly namespace: string;
}

/** The engine over one Temporal client. */
export function createEngine({ connection, namespace }: EngineOptions): Engine {
  const { workflow } = new Client({ connection, namespace });
  const bounded = <Result>(call: () => Promise<Result>) =>
    connection.withDeadline(Date.now() + callMs, call).catch((error: unknown) => {
      throw isUnreachable(causeOf(error)) ? unreachable(error) : error;
    });
  return {
    async startRun(input, workflowId) {
      const workflowRunId = await startedOnce(() =>
        bounded(() =>
          workflow.start<typeof deliveryChain>('deliveryChain', {
            ...startOptions(workflowId),
            args: [input],
            priority: { priorityKey: runPriority(input.cause), fairnessKey: input.repository.namespaceId },
            typedSearchAttributes: attributesOf(input),
          }),
        ),
      );
      return { workflowRunId };
    },
    async cancelRun(workflowId) {
      try {
        // Temporal takes the cancellation of an execution that has ended as done.
        const { status } = await bounded(() => workflow.getHandle(workflowId).describe());
        if (status.name !== 'RUNNING') return 'not_found';
        await bounded(() => workflow.getHandle(workflowId).cancel());
        return 'canceling';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'not_found';
        throw error;
      }
    },
    async startDelivery(input) {
      const workflowId = workflowIds.delivery(input.deliveryId, input.resend);
      await startedOnce(() =>
        bounded(() =>
          workflow.start<typeof triggerDelivery>('triggerDelivery', { ...startOptions(workflowId), args: [input] }),
        ),
      );
    },
    async signalCommitStatus(input) {
      await bounded(() =>
        workflow.signalWithStart<typeof commitStatus>('commitStatus', {
          workflowId: workflowIds.commitStatus(input.statusId),
          taskQueue: taskQueues.chain,
          // The same commit may get a new status long after its first one was settled.
          workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
          args: [input],
          signal: commitChanged,
          signalArgs: [],
        }),
      );
    },
    async isReachable() {
      try {
        await connection.withDeadline(Date.now() + callMs, () => connection.workflowService.getSystemInfo({}));
        return true;
      } catch {
        return false;
      }
    },
    close: () => connection.close(),
  };
}

/** A workflow that runs is answered as it is, one that ended is not started again (unique rows are the truth beyond retention). */
function startOptions(workflowId: string) {
  return {
    workflowId,
    taskQueue: taskQueues.chain,
    workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
  } satisfies Pick<WorkflowOptions, 'workflowId' | 'taskQueue' | 'workflowIdReusePolicy' | 'workflowIdConflictPolicy'>;
}

async function startedOnce(start: () => Promise<{ readonly firstExecutionRunId: string }>): Promise<string | null> {
  try {
    return (await start()).firstExecutionRunId;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
    throw error;
  }
}

function attributesOf({ repository, chain }: DeliveryChainInput) {
  return [
    { key: searchAttributes.instance, value: repository.instance },
    { key: searchAttributes.namespace, value: repository.namespace },
    { key: searchAttributes.repository, value: `${repository.namespace}/${repository.name}` },
    ...(chain.id === null ? [] : [{ key: searchAttributes.chainId, value: chain.id }]),
  ];
}

/** Codes by which gRPC says that no answer is to be had now: deadline exceeded, resource exhausted, unavailable. */
const unreachableCodes: readonly number[] = [4, 8, 14];

function isUnreachable(error: unknown): boolean {
  return isGrpcServiceError(error) && unreachableCodes.includes(error.code);
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

function unreachable(cause: unknown): AppError {
  return new AppError(
    503,
    'temporal.unreachable',
    'The engine that carries out runs did not answer, so nothing was changed. Try again in a few seconds; if it stays, the administrator looks at Temporal.',
    { cause, extra: { retryAfterSeconds } },
  );
}
