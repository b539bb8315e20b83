/** Does many small pieces of work in one call, such as one statement for many rows. */
export interface Batches<Item, Result> {
  add(item: Item): Promise<Result>;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchesOptions<Item, Result> {
  /** Answers for each item, in order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly maxItems: number;
  /** Calls under way at once. */
  readonly maxCalls: number;
  /** How heavy an item is, and how heavy a call may be; an item heavier than that goes alone. */
  readonly weigh?: (item: Item) => number;
  readonly maxWeight?: number;
}

/**
 * What comes while calls are under way waits and goes with the next one: alone and at once when there is little to do, many together
 * when there is much. A call that fails is made again for each of its items alone, so that none fails for another.
 */
export function createBatches<Item, Result>({
  run,
  maxItems,
  maxCalls,
  weigh = () => 0,
  maxWeight = 0,
}: BatchesOptions<Item, Result>): Batches<Item, Result> {
  const waiting: Waiting<Item, Result>[] = [];
  let calls = 0;
  let isPlanned = false;

  const alone = async ({ item, resolve, reject }: Waiting<Item, Result>): Promise<void> => {
    try {
      const [result] = await run([item]);
      if (result === undefined) throw new Error('A batch answered less than it was asked.');
      resolve(result);
    } catch (error) {
      reject(error);
    }
  };
  const together = async (batch: readonly Waiting<Item, Result>[]): Promise<void> => {
    try {
      const results = await run(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index];
        if (result === undefined) reject(new Error('A batch answered less than it was asked.'));
        else resolve(result);
      }
    } catch {
      for (const one of batch) await alone(one);
    }
  };
  const countOfNext = (): number => {
    let weight = 0;
    const end = waiting.slice(0, maxItems).findIndex(({ item }, index) => {
      weight += weigh(item);
      return index > 0 && weight > maxWeight;
    });
    return end === -1 ? maxItems : end;
  };
  const start = (): void => {
    isPlanned = false;
    while (calls < maxCalls && waiting.length > 0) {
      const batch = waiting.splice(0, countOfNext());
      const [only] = batch;
      calls += 1;
      void (batch.length === 1 && only !== undefined ? alone(only) : together(batch)).finally(() => {
        calls -= 1;
        plan();
      });
    }
  };
  /** Not at once: what arrives in the same turn of the event loop goes together. */
  const plan = (): void => {
    if (isPlanned || waiting.length === 0 || calls >= maxCalls) return;
    isPlanned = true;
    setImmediate(start);
  };

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        plan();
      }),
  };
}
