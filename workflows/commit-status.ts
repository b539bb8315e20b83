import { condition, defineSignal, isCancellation, setHandler } from '@temporalio/workflow';
import { nextAttemptDelayMs } from '../domain/trigger.ts';
import { sendCommitStatus } from './activities.ts';

/** The outbox has something newer to say. */
const commitChangedSignal = defineSignal('commitChanged');

export interface CommitStatusInput {
  /** The row of the outbox. */
  readonly statusId: string;
  /** Multiplies every delay of the ladder; 1 in production. */
  readonly ladderScale: number;
}

/**
 * Tells a commit's source host what became of it, up the ladder of triggers; a newer change starts again at once with what holds then
 * (docs/product.md, section 16, X-10). It never fails: a status that cannot be set is said on the binding.
 */
export async function commitStatus({ statusId, ladderScale }: CommitStatusInput): Promise<void> {
  let isChanged = false;
  setHandler(commitChangedSignal, () => {
    isChanged = true;
  });
  for (let tried = 1; ; tried += 1) {
    isChanged = false;
    const end = await attempt(statusId);
    const delayMs = end.isSettled ? 0 : nextAttemptDelayMs(tried, end, { random: Math.random(), scale: ladderScale });
    if (delayMs !== null && delayMs > 0) await condition(() => isChanged, delayMs);
    else if (!isChanged) return;
    if (isChanged) tried = 0;
  }
}

/** A call whose worker was lost counts as one without answer: saying the same state twice does no harm. */
async function attempt(statusId: string) {
  try {
    return await sendCommitStatus({ statusId });
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { isSettled: false, statusCode: null, isTimeout: true, retryAfterMs: null };
  }
}
