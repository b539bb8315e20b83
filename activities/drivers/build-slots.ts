/** A place for one build at a time; a namespace has as many as it had builds at once. */
export interface BuildSlot {
  readonly namespaceId: string;
  /** From 0; the lowest free one is taken, since its caches are the warmest. */
  readonly index: number;
}

export interface SlotRequest {
  readonly namespaceId: string;
  /** All who ask with the same id share one slot. */
  readonly buildId: string;
  readonly signal: AbortSignal;
}

export interface BuildSlots {
  /** Waits, in the order of asking, until one is free. */
  take(request: SlotRequest): Promise<BuildSlot>;
  /** The last holder's `cleanUp`, which must not reject, ends before anybody else gets the slot. */
  release(slot: BuildSlot, cleanUp: () => Promise<void>): Promise<void>;
  isFree(slot: BuildSlot): boolean;
}

interface Holding {
  readonly slot: BuildSlot;
  /** undefined: free, or its last build is being cleaned up. */
  buildId: string | undefined;
  holders: number;
  isTaken: boolean;
}

/** Hands out slots, `maxTaken` at once over all namespaces. */
export function createBuildSlots({ maxTaken }: { readonly maxTaken: number }): BuildSlots {
  const holdings: Holding[] = [];
  const waiting: { readonly request: SlotRequest; readonly give: (slot: BuildSlot) => void }[] = [];

  function find({ namespaceId, buildId }: SlotRequest): Holding | undefined {
    const own = holdings.filter(({ slot }) => slot.namespaceId === namespaceId);
    const shared = own.find((holding) => holding.buildId === buildId);
    if (shared !== undefined) return shared;
    if (holdings.filter(({ isTaken }) => isTaken).length >= maxTaken) return undefined;
    const free = own.find(({ isTaken }) => !isTaken);
    if (free !== undefined) return free;
    const added = { slot: { namespaceId, index: own.length }, buildId: undefined, holders: 0, isTaken: false };
    holdings.push(added);
    return added;
  }

  function tryTake(request: SlotRequest): BuildSlot | undefined {
    const holding = find(request);
    if (holding === undefined) return undefined;
    holding.buildId = request.buildId;
    holding.holders += 1;
    holding.isTaken = true;
    return holding.slot;
  }

  /** Who cannot be served waits on, which all behind do too, but for those whose build has its slot by now. */
  function serve(): void {
    for (const waiter of [...waiting]) {
      const slot = tryTake(waiter.request);
      if (slot !== undefined) waiter.give(slot);
    }
  }

  function wait(request: SlotRequest): Promise<BuildSlot> {
    const { signal } = request;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        waiting.splice(waiting.indexOf(waiter), 1);
        signal.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        leave();
        reject(signal.reason);
      };
      const waiter = {
        request,
        give: (slot: BuildSlot): void => {
          leave();
          resolve(slot);
        },
      };
      waiting.push(waiter);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  const holdingOf = (slot: BuildSlot): Holding | undefined => holdings.find((holding) => holding.slot === slot);

  return {
    take: async (request) => {
      request.signal.throwIfAborted();
      return tryTake(request) ?? (await wait(request));
    },
    release: async (slot, cleanUp) => {
      const holding = holdingOf(slot);
      if (holding === undefined) return;
      holding.holders -= 1;
      if (holding.holders > 0) return;
      holding.buildId = undefined;
      await cleanUp();
      holding.isTaken = false;
      serve();
    },
    isFree: (slot) => holdingOf(slot)?.isTaken !== true,
  };
}
