import type { Database } from '../database.ts';
import type { RunEventRow } from '../tables/record.ts';

/** What a state stream is about: all chain runs, or these runs and chains. */
export interface EventTopics {
  readonly isEveryRun: boolean;
  readonly runIds: readonly string[];
  readonly chainIds: readonly string[];
}

export type StateEvent = Pick<RunEventRow, 'id' | 'run_id' | 'chain_id' | 'type' | 'version'>;

/** The id of the newest event: where a stream without `Last-Event-ID` begins. */
export async function getNewestEventId(db: Database): Promise<number> {
  const row = await db.selectFrom('run_event').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  return row?.id ?? 0;
}

/** Events of the topics after an id, oldest first; with `runId` only that run's. */
export async function listEventsAfter(
  db: Database,
  {
    topics,
    afterId,
    limit,
    runId,
  }: { topics: EventTopics; afterId: number; limit: number; runId?: string | undefined },
): Promise<StateEvent[]> {
  let query = db
    .selectFrom('run_event')
    .select(['id', 'run_id', 'chain_id', 'type', 'version'])
    .where('id', '>', afterId);
  if (runId !== undefined) query = query.where('run_id', '=', runId);
  if (!topics.isEveryRun) {
    query = query.where((eb) =>
      eb.or([
        ...(topics.runIds.length > 0 ? [eb('run_id', 'in', topics.runIds)] : []),
        ...(topics.chainIds.length > 0 ? [eb('chain_id', 'in', topics.chainIds)] : []),
      ]),
    );
  }
  return query.orderBy('id').limit(limit).execute();
}
