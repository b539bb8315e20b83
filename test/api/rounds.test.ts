import { describe, expect, test, vi } from 'vitest';
import { createRounds } from '../../api/rounds.ts';
import type { RoundsOptions } from '../../api/rounds.ts';

/** Rounds over numbers that wait; `notice` is what PostgreSQL would tell. */
function newRounds(options: Partial<RoundsOptions> = {}) {
  const waiting: number[] = [];
  const seen: number[] = [];
  let notice = () => {};
  const isHeard = vi.fn<() => void>();
  const rounds = createRounds({
    listener: {
      on: (_, hear) => {
        notice = () => hear(null);
        return isHeard;
      },
    },
    channel: 'work',
    pollMs: 3_600_000,
    look: async () => {
      const next = waiting.shift();
      if (next !== undefined) seen.push(next);
      return { done: next === undefined ? 0 : 1, isMore: waiting.length > 0 };
    },
    onFailure: () => undefined,
    ...options,
  });
  return { rounds, waiting, seen, notice: () => notice(), isHeard };
}

describe('rounds over work that waits', () => {
  test('go on until nothing waits, and say how much was done', async () => {
    const { rounds, waiting, seen } = newRounds();
    waiting.push(1, 2, 3);
    expect(await rounds.run()).toBe(3);
    expect(seen).toEqual([1, 2, 3]);
    expect(await rounds.run()).toBe(0);
  });

  test('are one at a time; what comes meanwhile leads to another look of the same round', async () => {
    let isLooking = false;
    let goOn = () => {};
    const first = new Promise<void>((resolve) => (goOn = resolve));
    let looks = 0;
    const { rounds } = newRounds({
      look: async () => {
        expect(isLooking).toBe(false);
        isLooking = true;
        looks += 1;
        await first;
        isLooking = false;
        return { done: 1, isMore: false };
      },
    });
    const both = [rounds.run(), rounds.run()];
    goOn();
    expect(await Promise.all(both)).toEqual([2, 2]);
    expect(looks).toBe(2);
  });

  test('work on notices, and wake a look that waits', async () => {
    let looks = 0;
    const { rounds, notice, isHeard } = newRounds({
      look: async ({ woken }) => {
        looks += 1;
        if (looks === 1) await woken;
        return { done: 0, isMore: false };
      },
    });
    rounds.watch();
    notice();
    await expect.poll(() => looks).toBe(2);
    await rounds.stop();
    expect(isHeard).toHaveBeenCalled();
  });

  test('that fail are told, and the next notice begins anew', async () => {
    const failures: unknown[] = [];
    const { rounds, waiting, seen, notice } = newRounds({ onFailure: (error) => failures.push(error) });
    const failing = newRounds({
      look: () => Promise.reject(new Error('the engine is away')),
      onFailure: (error) => failures.push(error),
    });
    failing.rounds.watch();
    await expect.poll(() => failures).toEqual([new Error('the engine is away')]);
    await failing.rounds.stop();
    rounds.watch();
    waiting.push(7);
    notice();
    await expect.poll(() => seen).toEqual([7]);
    await rounds.stop();
  });

  test('end with the look under way when they are stopped', async () => {
    const stopped: boolean[] = [];
    let goOn = () => {};
    const isOver = new Promise<void>((resolve) => (goOn = resolve));
    const { rounds } = newRounds({
      look: async ({ isStopped }) => {
        await isOver;
        stopped.push(isStopped());
        return { done: 1, isMore: !isStopped() };
      },
    });
    const round = rounds.run();
    const end = rounds.stop();
    goOn();
    await end;
    expect([await round, stopped]).toEqual([1, [true]]);
  });
});
