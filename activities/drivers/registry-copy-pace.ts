import { pause } from './registry-retry.ts';

export interface Parallel {
  /** How many may run now; asked again after every end and at every tick. */
  readonly limit: () => number;
  readonly signal: AbortSignal;
  /** Called about every `tickMs` while work is under way. */
  readonly onTick?: () => void;
}

const tickMs = 10;

/**
 * Works through `items` in order, several at once. The first failure ends the others through the signal they were given,
 * and is thrown once all of them have let go.
 */
export async function forEachParallel<T>(
  items: readonly T[],
  { limit, signal, onTick }: Parallel,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const shared = AbortSignal.any([signal, failed.signal]);
  const failures: unknown[] = [];
  const running = new Set<Promise<void>>();
  let next = 0;

  function startMore(): void {
    while (next < items.length && running.size < limit() && !shared.aborted) {
      const item = items[next++]!;
      const task: Promise<void> = work(item, shared)
        .catch((error: unknown) => {
          failures.push(error);
          failed.abort();
        })
        .finally(() => {
          running.delete(task);
          startMore();
        });
      running.add(task);
    }
  }

  const ticker = onTick === undefined ? undefined : setInterval(() => (onTick(), startMore()), tickMs);
  try {
    for (startMore(); running.size > 0;) await Promise.race(running);
  } finally {
    clearInterval(ticker);
  }
  signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}

/** How many transfers run at once: more while that brings more bytes, half after each push back. */
export interface Pace {
  readonly limit: () => number;
  readonly moved: (bytes: number) => void;
  readonly slowDown: () => void;
  readonly tick: () => void;
}

export interface PaceOptions {
  readonly start: number;
  readonly max: number;
  /** Milliseconds on a steady clock. */
  readonly now: () => number;
}

const growth = 6;
const worthwhileGain = 1.05;
const holdMs = 2_000;

/**
 * Begins with `start` and opens six more at a time until that stops bringing bytes faster; while nothing flows yet the
 * link is idle and more cannot hurt. After a push back it holds, then feels its way up by one.
 */
export function createPace({ start, max, now }: PaceOptions): Pace {
  let limit = Math.min(start, max);
  let step = growth;
  let bytes = 0;
  let since = now();
  let bestRate = 0;
  let heldUntil = 0;

  return {
    limit: () => limit,
    moved(count) {
      bytes += count;
    },
    slowDown() {
      // Several transfers meet the same push back; it counts once.
      if (now() < heldUntil) return;
      limit = Math.max(1, Math.floor(limit / 2));
      step = 1;
      bestRate = 0;
      heldUntil = now() + holdMs;
    },
    tick() {
      const at = now();
      if (at < heldUntil || limit >= max || at === since) return;
      const rate = bytes / (at - since);
      [bytes, since] = [0, at];
      if (rate > 0 && rate < bestRate * worthwhileGain) return;
      bestRate = Math.max(bestRate, rate);
      limit = Math.min(max, limit + step);
      if (step < growth) heldUntil = at + holdMs;
    },
  };
}

/** Lets `bytesPerSecond` pass, over all streams that share it. */
export function createThrottle(
  bytesPerSecond: number,
  now: () => number,
): (bytes: number, signal: AbortSignal) => Promise<void> {
  let freeAt = 0;
  return async (bytes, signal) => {
    if (bytesPerSecond <= 0) return;
    const at = Math.max(freeAt, now());
    freeAt = at + (bytes / bytesPerSecond) * 1_000;
    if (at > now()) await pause(at - now(), signal);
  };
}
