import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Database } from '../db/database.ts';
import { deleteBuildWorker, noteBuildWorker } from '../db/repositories/build-worker.ts';
import type { BuildWorkerNote } from '../db/repositories/build-worker.ts';
import { buildWorkerBeatMs } from '../domain/task-queues.ts';

/** What this process builds, told to everyone through the database. */
export interface HeartbeatOptions extends Pick<BuildWorkerNote, 'regions' | 'platforms' | 'slots' | 'isolation'> {
  readonly db: Database;
  readonly clock: () => Date;
  readonly log: Logger;
}

/**
 * Says every few seconds which architectures this worker builds, and where: rules are checked against it, and runs that wait for a
 * worker nobody has seen say so (docs/product.md, sections 4 and 6). `stop` takes the row away.
 */
export async function startHeartbeat({
  db,
  clock,
  log,
  ...said
}: HeartbeatOptions): Promise<{ stop(): Promise<void> }> {
  const id = randomUUID();
  let beating = Promise.resolve();
  const beat = () => {
    beating = noteBuildWorker(db, { id, ...said, at: clock() }).catch((error: unknown) =>
      log.warn({ error: String(error) }, 'this worker could not say that it builds'),
    );
    return beating;
  };
  await beat();
  const timer = setInterval(() => void beat(), buildWorkerBeatMs);
  return {
    async stop() {
      clearInterval(timer);
      await beating;
      await deleteBuildWorker(db, id).catch((error: unknown) =>
        log.warn({ error: String(error) }, 'this worker could not say that it stops'),
      );
    },
  };
}
