/** Lets a few pieces of work run at once; the others wait for their turn, first come, first served. */
export interface Turns {
  take<Result>(work: () => Promise<Result>): Promise<Result>;
}

export function createTurns(limit: number): Turns {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    async take(work) {
      if (running < limit) running += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        // The place is handed on, so that nobody who comes now gets ahead.
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
