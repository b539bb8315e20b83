import type { Listener } from '../db/listener.ts';

/** Work that waits in the database, done in rounds: one at a time in this process, any number of processes side by side. */
export interface Rounds {
  /** Works on notices and by the clock: a lost listener loses notices. */
  watch(): void;
  /** Does all that waits now, or has the round under way look again; answers how much was done. */
  run(): Promise<number>;
  /** No further look; ends with the round under way. */
  stop(): Promise<void>;
}

/** One look at what waits. */
export interface Look {
  readonly isStopped: () => boolean;
  /** Resolves when somebody asks for another look. */
  readonly woken: Promise<void>;
}

export interface RoundsOptions {
  readonly listener: Pick<Listener, 'on'>;
  /** Where PostgreSQL tells that there is work. */
  readonly channel: string;
  readonly pollMs: number;
  /** Does some of what waits; `isMore`: more may wait, or something is under way. A failure ends the round. */
  readonly look: (look: Look) => Promise<{ readonly done: number; readonly isMore: boolean }>;
  /** A round by a notice or the clock failed; the next one begins anew. */
  readonly onFailure: (error: unknown) => void;
}

export function createRounds({ listener, channel, pollMs, look, onFailure }: RoundsOptions): Rounds {
  let working: Promise<number> | undefined;
  let isWokenAgain = false;
  let wakeUp = () => {};
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let stopListening = () => {};

  /** Until nothing waits; a notice in mid-work leads to another look. */
  const drain = async (): Promise<number> => {
    for (let all = 0; ;) {
      isWokenAgain = false;
      const woken = new Promise<void>((resolve) => (wakeUp = resolve));
      const { done, isMore } = await look({ isStopped: () => isStopped, woken });
      all += done;
      if (!isMore && (!isWokenAgain || isStopped)) return all;
    }
  };
  const run = () => {
    isWokenAgain = true;
    wakeUp();
    working ??= drain().finally(() => {
      working = undefined;
    });
    return working;
  };
  const wake = () => {
    run().catch(onFailure);
  };

  return {
    run,
    watch() {
      stopListening = listener.on(channel, wake);
      timer = setInterval(wake, pollMs);
      wake();
    },
    async stop() {
      isStopped = true;
      clearInterval(timer);
      stopListening();
      await working?.catch(() => undefined);
    },
  };
}
