import type { Logger } from 'pino';
import { claimInbox, countInboxAttempt, endInbox, inboxChannel } from '../db/repositories/inbox.ts';
import type { PendingDelivery } from '../db/repositories/inbox.ts';
import type { Database } from '../db/database.ts';
import type { Listener } from '../db/listener.ts';
import type { RunTimings } from '../domain/chain.ts';
import { limits } from '../domain/limits.ts';
import type { Clock } from './deps.ts';
import { dispatchDelivery } from './dispatch-delivery.ts';
import type { RunStarter } from './start-run.ts';

const pollMs = 1_000;
/** Wait after a failed attempt, times two for each before it. */
const retryMs = 1_000;
const retryMaxMs = 60_000;

/** Turns accepted deliveries into runs; one in every API process, any number may work side by side. */
export interface Dispatcher {
  /** Works on notices and once a second: a lost listener loses notices. */
  watch(): void;
  /** Handles everything that is pending now; answers how many deliveries. */
  dispatchAll(): Promise<number>;
  stop(): Promise<void>;
}

export interface DispatcherDeps {
  readonly db: Database;
  readonly starter: Pick<RunStarter, 'start'>;
  readonly listener: Pick<Listener, 'on'>;
  readonly timings: RunTimings;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const delayed = new Map<number, number>();
  let isStopped = false;
  let working: Promise<number> | undefined;
  let isWokenAgain = false;
  let timer: NodeJS.Timeout | undefined;
  let stopListening = () => {};

  const drain = async (): Promise<number> => {
    let handled = 0;
    do {
      isWokenAgain = false;
      while (!isStopped && (await dispatchNext(deps, delayed))) handled += 1;
    } while (isWokenAgain && !isStopped);
    return handled;
  };
  /** One at a time in this process; a notice in mid-work leads to another look. */
  const dispatchAll = () => {
    isWokenAgain = true;
    working ??= drain().finally(() => {
      working = undefined;
    });
    return working;
  };
  const wake = () => {
    dispatchAll().catch((error: unknown) => deps.log.error({ err: error }, 'the inbox could not be read'));
  };

  return {
    dispatchAll,
    watch() {
      stopListening = deps.listener.on(inboxChannel, wake);
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

/** Handles one delivery in one transaction; false when there is none to handle now. */
async function dispatchNext(deps: DispatcherDeps, delayed: Map<number, number>): Promise<boolean> {
  const { db, clock, starter, timings } = deps;
  const now = clock();
  for (const [id, until] of delayed) if (until <= now.getTime()) delayed.delete(id);
  let claimed: PendingDelivery | undefined;
  try {
    const runs = await db.transaction().execute(async (trx) => {
      claimed = await claimInbox(trx, { delayed: [...delayed.keys()] });
      if (claimed === undefined) return undefined;
      const dispatched = await dispatchDelivery(trx, claimed, { timings, at: now });
      await endInbox(trx, { id: claimed.id, outcome: dispatched.outcome, at: now });
      return dispatched.runs;
    });
    // Not awaited: an engine that is away must not hold up the next delivery.
    for (const run of runs ?? []) void starter.start(run);
    return runs !== undefined;
  } catch (error) {
    if (claimed === undefined) throw error;
    await setBack(deps, { id: claimed.id, error, delayed });
    return true;
  }
}

/**
 * A delivery that fails is tried again, later each time, and holds up its repository meanwhile, so that order is kept. After ten
 * attempts it is set aside with its body, for somebody to look at.
 */
async function setBack(
  { db, clock, log }: DispatcherDeps,
  { id, error, delayed }: { id: number; error: unknown; delayed: Map<number, number> },
): Promise<void> {
  const attempts = await countInboxAttempt(db, id);
  log.error({ err: error, inboxId: id, attempts }, 'a delivery could not be handled');
  if (attempts < limits.inboxAttempts) {
    delayed.set(id, clock().getTime() + Math.min(retryMs * 2 ** (attempts - 1), retryMaxMs));
    return;
  }
  const reason = `Slipway failed to handle this delivery ${attempts} times; its log says why`;
  await endInbox(db, { id, outcome: { kind: 'invalid', reason }, at: clock(), isBodyKept: true });
}
