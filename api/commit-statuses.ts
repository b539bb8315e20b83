import type { Logger } from 'pino';
import type { Database } from '../db/database.ts';
import type { Listener } from '../db/listener.ts';
import { commitStatusChannel, listUnannounced, noteAnnounced } from '../db/repositories/commit-status.ts';
import type { RunTimings } from '../domain/chain.ts';
import type { Engine } from './engine.ts';

const pollMs = 2_000;
const batch = 100;

/** Hands changes of commits' statuses from the outbox to the engine; one in every API process. */
export interface CommitStatuses {
  /** Works on notices and every two seconds: a lost listener loses notices. */
  watch(): void;
  /** Announces everything that waits now; answers how many changes. Stops at the first the engine does not take. */
  announceAll(): Promise<number>;
  stop(): Promise<void>;
}

export interface CommitStatusesDeps {
  readonly db: Database;
  readonly engine: Pick<Engine, 'signalCommitStatus'>;
  readonly listener: Pick<Listener, 'on'>;
  readonly timings: Pick<RunTimings, 'triggerLadderScale'>;
  readonly log: Logger;
}

export function createCommitStatuses({ db, engine, listener, timings, log }: CommitStatusesDeps): CommitStatuses {
  let working: Promise<number> | undefined;
  let isWokenAgain = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let stopListening = () => {};

  const announceBatch = async (): Promise<number> => {
    const changes = await listUnannounced(db, { limit: batch });
    for (const change of changes) {
      if (isStopped) return 0;
      await engine.signalCommitStatus({ statusId: change.id, ladderScale: timings.triggerLadderScale });
      await noteAnnounced(db, change);
    }
    return changes.length;
  };
  const drain = async (): Promise<number> => {
    let announced = 0;
    do {
      isWokenAgain = false;
      for (let size = batch; size === batch; announced += size) size = await announceBatch();
    } while (isWokenAgain && !isStopped);
    return announced;
  };
  const announceAll = () => {
    isWokenAgain = true;
    working ??= drain().finally(() => {
      working = undefined;
    });
    return working;
  };
  const wake = () => {
    announceAll().catch((error: unknown) => log.warn({ err: error }, 'commit statuses wait: the engine is away'));
  };

  return {
    announceAll,
    watch() {
      stopListening = listener.on(commitStatusChannel, wake);
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
