import { describe, expect, test } from 'vitest';
import { createPace, createThrottle, forEachParallel } from '../../activities/drivers/registry-copy-pace.ts';

function never(): AbortSignal {
  return new AbortController().signal;
}

describe('work in parallel', () => {
  test('begins in order and never exceeds its limit', async () => {
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    await forEachParallel([1, 2, 3, 4, 5, 6, 7], { limit: () => 3, signal: never() }, async (item) => {
      begun.push(item);
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
    });
    expect(begun).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(most).toBe(3);
  });

  test('the first failure ends the others, begins nothing more, and is thrown when all have let go', async () => {
    const ended: string[] = [];
    const work = forEachParallel(
      ['bad', 'slow', 'never begun'],
      { limit: () => 2, signal: never() },
      async (item, signal) => {
        if (item === 'bad') throw new Error('the first failure');
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        ended.push(item);
        throw new Error('only a consequence');
      },
    );
    await expect(work).rejects.toThrow('the first failure');
    expect(ended).toEqual(['slow']);
  });

  test('a caller who gives up is told his own reason', async () => {
    const controller = new AbortController();
    const work = forEachParallel([1], { limit: () => 1, signal: controller.signal }, async (_item, signal) => {
      controller.abort(new Error('the run was canceled'));
      signal.throwIfAborted();
      await Promise.resolve();
    });
    await expect(work).rejects.toThrow('the run was canceled');
  });
});

describe('the pace', () => {
  function paced() {
    const clock = { ms: 0 };
    const pace = createPace({ start: 6, max: 24, now: () => clock.ms });
    function after(ms: number, bytes: number): number {
      clock.ms += ms;
      pace.moved(bytes);
      pace.tick();
      return pace.limit();
    }
    return { pace, after };
  }

  test('rises while the link is idle or gets faster, and stops where more brings nothing', () => {
    const { after } = paced();
    expect(after(20, 0)).toBe(12);
    expect(after(20, 1_000)).toBe(18);
    expect(after(20, 1_010)).toBe(18);
    expect(after(20, 2_000)).toBe(24);
    expect(after(20, 9_000)).toBe(24);
  });

  test('halves once for one push back, holds, then feels its way up by one', () => {
    const { pace, after } = paced();
    after(20, 0);
    after(20, 0);
    after(20, 0);
    expect(pace.limit()).toBe(24);
    pace.slowDown();
    pace.slowDown();
    expect(pace.limit()).toBe(12);
    expect(after(1_000, 5_000)).toBe(12);
    expect(after(1_001, 5_000)).toBe(13);
    expect(after(20, 50_000)).toBe(13);
    expect(after(2_000, 90_000)).toBe(14);
  });

  test('never falls below one', () => {
    const { pace, after } = paced();
    for (let pushBack = 0; pushBack < 10; pushBack += 1) {
      pace.slowDown();
      after(2_001, 0);
    }
    expect(pace.limit()).toBeGreaterThanOrEqual(1);
  });
});

test('the bandwidth limit holds over all streams that share it', async () => {
  const throttle = createThrottle(100_000, () => performance.now());
  const start = performance.now();
  await Promise.all([1, 2, 3, 4].map(() => throttle(1_500, never())));
  await throttle(0, never());
  expect(performance.now() - start).toBeGreaterThanOrEqual(55);
});

test('without a limit nothing waits', async () => {
  const throttle = createThrottle(0, () => 0);
  await expect(throttle(1_000_000_000, never())).resolves.toBeUndefined();
});
