import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  ParentClosePolicy,
  sleep,
  startChild,
} from '@temporalio/workflow';
import type { DeliveryChainInput, RunImages, StepOutcome } from '../domain/chain.ts';
import { workflowIds } from '../domain/run-id.ts';
import { taskQueues } from '../domain/task-queues.ts';
import { nextAttemptDelayMs } from '../domain/trigger.ts';
import type { DeliveryStatus } from '../domain/trigger.ts';
import { controlActivities, sendTrigger, setDelivery } from './activities.ts';
import type { TagUpdate } from './push.ts';

export interface TriggerOutcome extends StepOutcome<{
  deliveries: readonly { id: string; trigger: string; tag: string; status: DeliveryStatus }[];
  untriggered: number;
}> {}

/** One delivery, of a run or resent by hand. `resend` counts from 1; attempts go on counting from `firstAttempt`. */
export interface TriggerDeliveryInput {
  readonly deliveryId: string;
  readonly resend: number;
  readonly firstAttempt: number;
  /** Multiplies every delay of the ladder; 1 in production. */
  readonly ladderScale: number;
}

export interface TriggerDeliveryEnd {
  readonly status: Extract<DeliveryStatus, 'delivered' | 'failed'>;
}

/**
 * Calls the triggers of every updated tag, one child workflow per message. Ends when all are delivered, or fails after ten minutes;
 * the children go on with their retries (docs/product.md, section 11, "The step").
 */
export async function runTrigger(
  input: DeliveryChainInput,
  images: RunImages,
  updates: readonly TagUpdate[],
): Promise<TriggerOutcome> {
  const { runId, attempt, repository, timings, origin } = input;
  const source = origin.kind === 'source' ? origin.source : null;
  const { deliveries, untriggered } = await controlActivities(timings).openDeliveries({
    runId,
    attempt,
    repository,
    images,
    updates,
    source,
  });
  const children = await Promise.all(deliveries.map(({ id }) => startDelivery(id, timings.triggerLadderScale)));
  const ends = await endsWithin(
    children.map((child) => child.result()),
    timings.triggerWaitMs,
  );
  const statusOf = (index: number): DeliveryStatus => ends[index] ?? 'retrying';
  const result = {
    deliveries: deliveries.map(({ id, triggerId, tag }, index) => ({
      id,
      trigger: triggerId,
      tag,
      status: statusOf(index),
    })),
    untriggered,
  };
  const missing = result.deliveries.filter(({ status }) => status !== 'delivered').length;
  if (missing > 0) throw notDelivered(missing, deliveries.length);
  if (deliveries.length === 0) return { state: 'skipped', why: 'not_applicable', reason: null, result };
  return { state: 'success', why: null, reason: null, result };
}

/** The story of one message: at once, then up the ladder, under one `webhook-id`. */
export async function triggerDelivery({
  deliveryId,
  resend,
  firstAttempt,
  ladderScale,
}: TriggerDeliveryInput): Promise<TriggerDeliveryEnd> {
  try {
    for (let tried = 1; ; tried += 1) {
      const end = await attemptDelivery({ deliveryId, number: firstAttempt + tried - 1, resend });
      if (end.isDelivered) return await close(deliveryId, 'delivered', null);
      if (end.isGone) return await close(deliveryId, 'failed', gone);
      const delayMs = nextAttemptDelayMs(tried, end, { random: Math.random(), scale: ladderScale });
      if (delayMs === null) return await close(deliveryId, 'failed', exhausted(tried));
      await setDelivery({
        deliveryId,
        status: 'retrying',
        reason: null,
        nextAttemptAt: new Date(Date.now() + delayMs).toISOString(),
      });
      await sleep(delayMs);
    }
  } catch (error) {
    if (isCancellation(error)) {
      await CancellationScope.nonCancellable(() =>
        setDelivery({ deliveryId, status: 'canceled', reason: null, nextAttemptAt: null }),
      );
    }
    throw error;
  }
}

/** A request whose worker was lost counts as one without answer: it may have arrived, and is tried again under the same id. */
async function attemptDelivery(request: { deliveryId: string; number: number; resend: number }) {
  try {
    return await sendTrigger(request);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { statusCode: null, isTimeout: true, retryAfterMs: null, isDelivered: false, isGone: false };
  }
}

async function close(
  deliveryId: string,
  status: TriggerDeliveryEnd['status'],
  reason: Parameters<typeof setDelivery>[0]['reason'],
): Promise<TriggerDeliveryEnd> {
  await CancellationScope.nonCancellable(() => setDelivery({ deliveryId, status, reason, nextAttemptAt: null }));
  return { status };
}

function startDelivery(deliveryId: string, ladderScale: number) {
  const args: [TriggerDeliveryInput] = [{ deliveryId, resend: 0, firstAttempt: 1, ladderScale }];
  return startChild(triggerDelivery, {
    args,
    workflowId: workflowIds.delivery(deliveryId),
    taskQueue: taskQueues.chain,
    parentClosePolicy: ParentClosePolicy.ABANDON,
  });
}

/** The status of each that ended within `waitMs`; undefined for the rest. Waiting on does not cancel them. */
async function endsWithin(
  results: readonly Promise<TriggerDeliveryEnd>[],
  waitMs: number,
): Promise<(TriggerDeliveryEnd['status'] | undefined)[]> {
  const ends: (TriggerDeliveryEnd['status'] | undefined)[] = results.map(() => undefined);
  const all = Promise.all(results.map(async (result, index) => (ends[index] = (await result).status)));
  const timer = new CancellationScope();
  try {
    await Promise.race([all, timer.run(() => sleep(waitMs))]);
  } finally {
    timer.cancel();
  }
  // Those still running may fail later, after this step has ended: nobody listens any more, and nobody must.
  all.catch(() => undefined);
  return ends;
}

const gone = {
  code: 'trigger.gone',
  params: {},
  text: 'The receiver answered 410 Gone, so the trigger was disabled. Enable it again when the receiver is back',
} as const;

function exhausted(attempts: number) {
  return {
    code: 'trigger.exhausted',
    params: { attempts },
    text: `No attempt of ${attempts} succeeded. Mend the receiver, then resend the delivery`,
  };
}

function notDelivered(missing: number, all: number): ApplicationFailure {
  const text = `${missing} of ${all} deliveries ${missing === 1 ? 'was' : 'were'} not answered with 2xx in time; retries go on, see the delivery`;
  return ApplicationFailure.nonRetryable(text, 'trigger.not_delivered', { missing, all });
}
