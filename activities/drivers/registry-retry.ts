import { setTimeout as wait } from 'node:timers/promises';
import { RegistryError } from '../../domain/registry-error.ts';

/** How often and how fast one request is tried again before its caller (an activity with its own retries) hears of it. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
  /** A longer `Retry-After` is handed up instead of waited for. */
  readonly longestWaitMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { attempts: 5, baseMs: 200, maxMs: 5_000, longestWaitMs: 60_000 };

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  /** Hears of every failure that will be tried again, so that a copy can slow down. */
  readonly onRetry?: ((error: RegistryError) => void) | undefined;
}

/** Runs `work` until it succeeds, fails for good, or the attempts are used up. Only a `RegistryError` is tried again. */
export async function retrying<T>(
  work: (attempt: number) => Promise<T>,
  { policy, signal, onRetry }: RetryOptions,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof RegistryError) || error.isPermanent || attempt >= policy.attempts) throw error;
      await backOff(error, attempt, { policy, signal, onRetry });
    }
  }
}

/** Waits as long as the registry asked, else exponentially with 20 % jitter. Throws `error` if that is too long. */
export async function backOff(
  error: RegistryError,
  attempt: number,
  { policy, signal, onRetry }: RetryOptions,
): Promise<void> {
  const askedMs = error.retryAfterMs ?? 0;
  if (askedMs > policy.longestWaitMs) throw error;
  onRetry?.(error);
  const ladderMs = Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1)) * (0.8 + 0.4 * Math.random());
  await pause(Math.max(askedMs, ladderMs), signal);
}

/** A wait that ends with the caller's own reason when it is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Work that goes on for others when this caller gives up: the wait ends, the work does not. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const given = new AbortController();
  try {
    return await Promise.race([work, aborted(signal, given.signal)]);
  } finally {
    given.abort();
  }
}

function aborted(signal: AbortSignal, until: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    // oxlint-disable-next-line prefer-promise-reject-errors -- the reason is the caller's own
    signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: until });
  });
}
