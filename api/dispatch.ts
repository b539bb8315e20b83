import type { Logger } from 'pino';
import {
  claimInbox,
  countInboxAttempt,
  endInbox,
  findPendingDelivery,
  inboxChannel,
  listInboxHeads,
} from '../db/repositories/inbox.ts';
import type { Database } from '../db/database.ts';
import type { Listener } from '../db/listener.ts';
import type { RunTimings } from '../domain/chain.ts';
import { AppError } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { Clock } from './deps.ts';
import { dispatchDelivery } from './dispatch-delivery.ts';
import { createRounds } from './rounds.ts';
import type { Rounds } from './rounds.ts';
import { createTurns } from './turns.ts';
import type { Turns } from './turns.ts';
import { lookUpDelivery } from './look-up-delivery.ts';
import type { SourceTips } from './source-tips.ts';
import type { RunStarter } from './start-run.ts';

const pollMs = 1_000;
/** Wait after a failed attempt, times two for each before it. */
const retryMs = 1_000;
const retryMaxMs = 60_000;
/** A push that finds its namespace's line of builds full looks again after this time. */
const fullQueueMs = 5_000;
/** Deliveries of so many repositories are in hand at once, most of them waiting for their host. */
const inHandMax = 64;
/** So many of them use the database at once: requests need connections too. */
const databaseTurns = 3;

/** Turns accepted deliveries into runs; one in every API process, any number may work side by side. */
export interface Dispatcher extends Pick<Rounds, 'watch' | 'stop'> {
  /** Handles everything that is pending now; answers how many deliveries. */
  dispatchAll(): Promise<number>;
}

export interface DispatcherDeps {
  readonly db: Database;
  readonly starter: Pick<RunStarter, 'start'>;
  readonly listener: Pick<Listener, 'on'>;
  readonly sourceTips: SourceTips;
  readonly timings: RunTimings;
  /** How many builds of a namespace may wait for a worker before its pushes wait here. */
  readonly queueLimit: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long a host gets to catch up with its own hook before what it shows is believed. */
  readonly lagMs?: number;
}

/** What one dispatcher works with. */
interface Desk extends DispatcherDeps {
  /** Ids that failed a moment ago, and until when they wait. */
  readonly delayed: Map<number, number>;
  /** Deliveries being handled in this process, at most one of each repository. */
  readonly inHand: Map<number, Promise<void>>;
  readonly turns: Turns;
}

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const desk: Desk = { ...deps, delayed: new Map(), inHand: new Map(), turns: createTurns(databaseTurns) };
  let handled = 0;

  const take = (id: number) => {
    const work = handle(desk, id).then((isHandled) => {
      if (isHandled) handled += 1;
    });
    desk.inHand.set(
      id,
      work.finally(() => desk.inHand.delete(id)),
    );
  };
  const rounds = createRounds({
    listener: deps.listener,
    channel: inboxChannel,
    pollMs,
    /** Until nothing is pending but what was delayed. */
    look: async ({ isStopped, woken }) => {
      for (const { id } of isStopped() ? [] : await listHeads(desk)) take(id);
      const isMore = desk.inHand.size > 0;
      if (isMore) await Promise.race([...desk.inHand.values(), woken]);
      const done = handled;
      handled = 0;
      return { done, isMore };
    },
    onFailure: (error) => deps.log.error({ err: error }, 'the inbox could not be read'),
  });
  return {
    dispatchAll: () => rounds.run(),
    watch: () => rounds.watch(),
    async stop() {
      await rounds.stop();
      await Promise.allSettled(desk.inHand.values());
    },
  };
}

async function listHeads({ db, clock, delayed, inHand }: Desk): Promise<readonly { id: number }[]> {
  const now = clock().getTime();
  for (const [id, until] of delayed) if (until <= now) delayed.delete(id);
  const limit = inHandMax - inHand.size;
  return limit > 0 ? listInboxHeads(db, { except: [...delayed.keys(), ...inHand.keys()], limit }) : [];
}

/** Looks a delivery up without any lock, then handles it in one transaction; false when somebody else did. Never throws. */
async function handle(desk: Desk, id: number): Promise<boolean> {
  const { db, clock, starter, sourceTips, timings, queueLimit, turns, log, lagMs = 1_000 } = desk;
  try {
    const delivery = await turns.take(() => findPendingDelivery(db, id));
    if (delivery === undefined) return false;
    const lookedUp = await lookUpDelivery({ db, sourceTips, lagMs, inTurn: (work) => turns.take(work) }, delivery);
    const at = clock();
    const runs = await turns.take(() =>
      db.transaction().execute(async (trx) => {
        const claimed = await claimInbox(trx, id);
        if (claimed === undefined) return undefined;
        const dispatched = await dispatchDelivery(trx, claimed, { ...lookedUp, timings, queueLimit, at });
        await endInbox(trx, { id, outcome: dispatched.outcome, changes: dispatched.changes, at });
        return dispatched.runs;
      }),
    );
    // Not awaited: an engine that is away must not hold up the next delivery.
    for (const run of runs ?? []) void starter.start(run);
    if (runs === undefined) desk.delayed.set(id, at.getTime() + pollMs);
    return runs !== undefined;
  } catch (error) {
    if (error instanceof AppError && error.code === 'build.queue_full') {
      desk.delayed.set(id, clock().getTime() + fullQueueMs);
      return false;
    }
    await setBack(desk, { id, error }).catch((cause: unknown) => {
      log.error({ err: cause, inboxId: id }, 'a failed delivery could not be set back');
      desk.delayed.set(id, clock().getTime() + retryMs);
    });
    return true;
  }
}

/**
 * A delivery that fails is tried again, later each time, and holds up its repository meanwhile, so that order is kept. After ten
 * attempts it is set aside with its body, for somebody to look at.
 */
async function setBack(
  { db, clock, log, delayed }: Desk,
  { id, error }: { id: number; error: unknown },
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
