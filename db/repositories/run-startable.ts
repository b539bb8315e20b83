import type { Database } from '../database.ts';
import type { RunRow } from '../tables/record.ts';
import { startable } from './run-start.ts';
import type { StartableRun } from './run-start.ts';

/** Notes that a run's workflow was started; answers the run's status then, so that a cancellation in between is seen. */
export async function noteRunStarted(
  db: Database,
  { runId, workflowRunId, at }: { runId: string; workflowRunId: string | null; at: Date },
): Promise<RunRow['status'] | undefined> {
  const row = await db
    .updateTable('run')
    .set((eb) => ({
      started_note_at: eb.fn.coalesce('started_note_at', eb.val(at)),
      ...(workflowRunId === null ? {} : { workflow_run_id: workflowRunId }),
    }))
    .where('id', '=', runId)
    .returning('status')
    .executeTakeFirst();
  return row?.status;
}

/**
 * Queued runs whose start was never noted, the oldest first: a crash after the commit, or Temporal was away. Those that wait for the
 * run before them, or give way to a newer one, are not among them.
 */
export async function listUnstartedRuns(
  db: Database,
  { queuedBefore, limit }: { queuedBefore: Date; limit: number },
): Promise<StartableRun[]> {
  return unstarted(db)
    .where('queued_at', '<', queuedBefore)
    .orderBy('queued_at')
    .orderBy('order_no')
    .limit(limit)
    .execute();
}

/** The run if its workflow is still to be started. */
export async function findUnstartedRun(db: Database, runId: string): Promise<StartableRun | undefined> {
  return unstarted(db).where('id', '=', runId).executeTakeFirst();
}

function unstarted(db: Database) {
  return db
    .selectFrom('run')
    .select(startable)
    .where('started_note_at', 'is', null)
    .where('status', '=', 'queued')
    .where('is_waiting', '=', false)
    .where('superseded_by_id', 'is', null);
}

/** Live runs that gave way to a newer one and were not yet told to stop; `by` takes those of one newer run only. */
export async function listSuperseded(
  db: Database,
  { by, limit }: { by?: string; limit: number },
): Promise<Pick<RunRow, 'id' | 'workflow_id'>[]> {
  let query = db
    .selectFrom('run')
    .select(['id', 'workflow_id'])
    .where('superseded_by_id', 'is not', null)
    .where('status', 'in', ['queued', 'running']);
  if (by !== undefined) query = query.where('superseded_by_id', '=', by);
  return query.orderBy('order_no').limit(limit).execute();
}
