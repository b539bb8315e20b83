/** Lets at most `limit` calls of one key run at once; the rest wait in order. */
export interface CallSlots {
  /** A function that gives the slot back, or undefined when none came free within `waitMs`. */
  take(
    key: string,
    options: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<(() => void) | undefined>;
}

/** Slots of this process; with several workers the limit holds for each. */
export function createCallSlots(limit: number): CallSlots {
  const taken = new Map<string, number>();
  const waiting = new Map<string, (() => void)[]>();

  function free(key: string): void {
    const next = waiting.get(key)?.shift();
    if (next !== undefined) return next();
    const left = (taken.get(key) ?? 1) - 1;
    if (left > 0) taken.set(key, left);
    else {
      taken.delete(key);
      waiting.delete(key);
    }
  }
  function slot(key: string): () => void {
    let isFree = false;
    return () => {
      if (!isFree) free(key);
      isFree = true;
    };
  }

  return {
    async take(key, { waitMs, signal }) {
      signal.throwIfAborted();
      const count = taken.get(key) ?? 0;
      if (count < limit) {
        taken.set(key, count + 1);
        return slot(key);
      }
      const queue = waiting.get(key) ?? [];
      waiting.set(key, queue);
      const late = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
      return new Promise((resolve, reject) => {
        function turn(): void {
          late.removeEventListener('abort', giveUp);
          resolve(slot(key));
        }
        function giveUp(): void {
          queue.splice(queue.indexOf(turn), 1);
          if (signal.aborted) reject(signal.reason);
          else resolve(undefined);
        }
        queue.push(turn);
        late.addEventListener('abort', giveUp, { once: true });
      });
    },
  };
}
