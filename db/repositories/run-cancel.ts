import { notFound } from '../../domain/errors.ts';
import type { Reason } from '../../domain/errors.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { RunRow } from '../tables/record.ts';
import { recordRunEvent } from './record.ts';
import { canceledReason, lockConcurrencyOf, releaseNext } from './run-concurrency.ts';

/** Throws 404 `run.not_found`. */
export async function getRunForCancel(
  db: Database,
  runId: string,
): Promise<Pick<RunRow, 'workflow_id' | 'status' | 'ended_at' | 'is_waiting'>> {
  const run = await db
    .selectFrom('run')
    .select(['workflow_id', 'status', 'ended_at', 'is_waiting'])
    .where('id', '=', runId)
    .executeTakeFirst();
  if (run === undefined) throw notFound('run', runId);
  return run;
}

/** Notes who asked first for the run's end, before its workflow is told. */
export async function requestRunCancel(
  db: Database,
  { runId, actor }: { runId: string; actor: string },
): Promise<void> {
  await db
    .updateTable('run')
    .set((eb) => ({ cancel_requested_by: eb.fn.coalesce('cancel_requested_by', eb.val(actor)) }))
    .where('id', '=', runId)
    .where('ended_at', 'is', null)
    .execute();
}

/** Marks a run whose workflow was told to cancel. Repeated calls change nothing. */
export async function noteRunCanceling(
  db: Database,
  { runId, actor, at }: { runId: string; actor: string | null; at: Date },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('run')
      .set({ status: 'canceling' })
      .where('id', '=', runId)
      .where('status', 'in', ['queued', 'running'])
      .executeTakeFirst();
    if (numUpdatedRows > 0n) await recordRunEvent(trx, { runId, type: 'run.canceling', data: { actor }, at });
  });
}

const canceled: Reason = { code: 'run.canceled', params: {}, text: 'Canceled' };

/** Ends a run that has no workflow, with its build and steps; false when it had ended already. What waited for it goes on. */
export async function cancelRunWithoutWorkflow(
  db: Database,
  { runId, actor, at }: { runId: string; actor: string | null; at: Date },
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const key = await lockConcurrencyOf(trx, runId);
    const reason = await canceledReason(trx, runId, canceled);
    const isCanceled = await endCanceled(trx, { runId, actor, reason, at });
    if (isCanceled) await releaseNext(trx, { key, at });
    return isCanceled;
  });
}

/** Ends a run that no workflow carries, in the caller's transaction; false when it had ended already. */
export async function endCanceled(
  trx: DatabaseTransaction,
  { runId, actor, reason, at }: { runId: string; actor: string | null; reason: Reason; at: Date },
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('run')
    .set({
      status: 'canceled',
      result: 'canceled',
      reason: JSON.stringify(reason),
      is_waiting: false,
      ended_at: at,
    })
    .where('id', '=', runId)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return false;
  await closeParts(trx, { runId, at });
  await recordRunEvent(trx, { runId, type: 'run.canceled', data: { actor, reason }, at });
  return true;
}

/** What was running is canceled, what had not begun is skipped; what has ended stays. */
async function closeParts(trx: DatabaseTransaction, { runId, at }: { runId: string; at: Date }): Promise<void> {
  const end = { status: 'canceled' as const, ended_at: at };
  const builds = trx.selectFrom('build').select('id').where('run_id', '=', runId);
  await trx
    .updateTable('build_architecture')
    .set(end)
    .where('build_id', 'in', builds)
    .where('ended_at', 'is', null)
    .execute();
  await trx.updateTable('build').set(end).where('run_id', '=', runId).where('ended_at', 'is', null).execute();
  const canceled = { state: 'canceled' as const, ended_at: at };
  for (const table of ['run_step', 'run_step_child'] as const) {
    await trx.updateTable(table).set(canceled).where('run_id', '=', runId).where('state', '=', 'running').execute();
  }
  await trx
    .updateTable('run_step')
    .set({ state: 'skipped', why: 'not_reached', ended_at: at })
    .where('run_id', '=', runId)
    .where('state', '=', 'waiting')
    .execute();
}
