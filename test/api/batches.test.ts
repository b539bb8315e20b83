import { describe, expect, it, vi } from 'vitest';
import { createBatches } from '../../api/batches.ts';
import type { BatchesOptions } from '../../api/batches.ts';

type Run<Item> = BatchesOptions<Item, Item>['run'];

describe('work in batches', () => {
  it('goes together when it comes together, and each gets its own answer', async () => {
    const run = vi.fn<Run<number>>(async (items) => items.map((item) => item * 2));
    const batches = createBatches({ run, maxItems: 10, maxCalls: 1 });
    expect(await Promise.all([1, 2, 3].map((item) => batches.add(item)))).toEqual([2, 4, 6]);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it('waits while a call is under way and goes with the next', async () => {
    const gates: (() => void)[] = [];
    const run = vi.fn<Run<string>>(async (items) => {
      await new Promise<void>((resolve) => gates.push(resolve));
      return items;
    });
    const batches = createBatches({ run, maxItems: 10, maxCalls: 1 });
    const first = batches.add('a');
    await vi.waitFor(() => expect(run).toHaveBeenCalledTimes(1));
    const others = Promise.all([batches.add('b'), batches.add('c')]);
    gates.shift()?.();
    await first;
    await vi.waitFor(() => expect(run).toHaveBeenCalledTimes(2));
    gates.shift()?.();
    expect(await others).toEqual(['b', 'c']);
    expect(run.mock.calls).toEqual([[['a']], [['b', 'c']]]);
  });

  it('is cut by number and by weight; what is too heavy goes alone', async () => {
    const run = vi.fn<Run<number>>(async (items) => items);
    const batches = createBatches({ run, maxItems: 3, maxCalls: 1, weigh: (item) => item, maxWeight: 10 });
    await Promise.all([4, 5, 50, 1, 1, 1, 1].map((item) => batches.add(item)));
    expect(run.mock.calls.map(([items]) => items)).toEqual([[4, 5], [50], [1, 1, 1], [1]]);
  });

  it('that fails fails only for the item it fails for', async () => {
    const run = async (items: readonly string[]) => {
      if (items.includes('bad')) throw new Error('it is bad');
      return items;
    };
    const batches = createBatches({ run, maxItems: 10, maxCalls: 1 });
    const settled = await Promise.allSettled(['a', 'bad', 'b'].map((item) => batches.add(item)));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
