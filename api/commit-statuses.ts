import type { Logger } from 'pino';
import type { Database } from '../db/database.ts';
import type { Listener } from '../db/listener.ts';
import { commitStatusChannel, listUnannounced, noteAnnounced } from '../db/repositories/commit-status.ts';
import type { RunTimings } from '../domain/chain.ts';
import type { Engine } from './engine.ts';
import { createRounds } from './rounds.ts';
import type { Rounds } from './rounds.ts';

const pollMs = 2_000;
const batch = 100;

/** Hands changes of commits' statuses from the outbox to the engine; one in every API process. */
export interface CommitStatuses extends Pick<Rounds, 'watch' | 'stop'> {
  /** Announces everything that waits now; answers how many changes. Stops at the first the engine does not take. */
  announceAll(): Promise<number>;
}

export interface CommitStatusesDeps {
  readonly db: Database;
  readonly engine: Pick<Engine, 'signalCommitStatus'>;
  readonly listener: Pick<Listener, 'on'>;
  readonly timings: Pick<RunTimings, 'triggerLadderScale'>;
  readonly log: Logger;
}

export function createCommitStatuses({ db, engine, listener, timings, log }: CommitStatusesDeps): CommitStatuses {
  const rounds = createRounds({
    listener,
    channel: commitStatusChannel,
    pollMs,
    look: async ({ isStopped }) => {
      const changes = await listUnannounced(db, { limit: batch });
      for (const [done, change] of changes.entries()) {
        if (isStopped()) return { done, isMore: false };
        await engine.signalCommitStatus({ statusId: change.id, ladderScale: timings.triggerLadderScale });
        await noteAnnounced(db, change);
      }
      return { done: changes.length, isMore: changes.length === batch };
    },
    onFailure: (error) => log.warn({ err: error }, 'commit statuses wait: the engine is away'),
  });
  return { announceAll: () => rounds.run(), watch: () => rounds.watch(), stop: () => rounds.stop() };
}
