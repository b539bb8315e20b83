import { sql } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { RunResult } from '../../domain/record.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { recordRunEvent } from './record.ts';
import { canceledReason, forgetSupersession, lockConcurrencyOf, releaseNext } from './run-concurrency.ts';
import { handOver } from './run-handover.ts';

export interface RunEndRecord {
  readonly runId: string;
  readonly attempt: number;
  readonly result: RunResult;
  readonly reason: Reason;
  readonly at: Date;
}

/**
 * Ends a run: steps not reached become skipped, the result and its sentence stand, whoever waited for it may start, and the image of
 * a build outside a chain goes to the chain that starts with it. All of it is one transaction, so that nothing is left waiting whatever dies. Repeated calls change nothing.
 */
export async function recordRunEnd(db: Database, end: RunEndRecord): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { runId, result, at } = end;
    const key = await lockConcurrencyOf(trx, runId);
    const reason = result === 'canceled' ? await canceledReason(trx, runId, end.reason) : end.reason;
    if (!(await closeRun(trx, { ...end, reason }))) return;
    if (result !== 'canceled') await forgetSupersession(trx, runId);
    await recordRunEvent(trx, { runId, type: `run.${result}`, data: { reason }, at });
    await releaseNext(trx, { key, at });
    if (result === 'success') await handOver(trx, { runId, at });
  });
}

async function closeRun(
  trx: DatabaseTransaction,
  { runId, attempt, result, reason, at }: RunEndRecord,
): Promise<boolean> {
  const ended = await trx
    .updateTable('run')
    .set({
      status: result === 'canceled' ? 'canceled' : 'complete',
      result,
      reason: JSON.stringify(reason),
      ended_at: at,
      started_note_at: sql`coalesce(started_note_at, ${at})`,
    })
    .where('id', '=', runId)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  if (ended.numUpdatedRows === 0n) return false;
  await trx
    .updateTable('run_step')
    .set({ state: 'skipped', why: 'not_reached', ended_at: at })
    .where('run_id', '=', runId)
    .where('attempt', '=', attempt)
    .where('state', 'in', ['waiting', 'running'])
    .execute();
  await closeBuild(trx, { runId, result, at });
  return true;
}

/** The build's steps have closed it, unless the run ended outside of them. */
async function closeBuild(
  trx: DatabaseTransaction,
  { runId, result, at }: Pick<RunEndRecord, 'runId' | 'result' | 'at'>,
): Promise<void> {
  const status = result === 'canceled' ? ('canceled' as const) : ('failed' as const);
  const closed = await trx
    .updateTable('build')
    .set({ status, ended_at: at })
    .where('run_id', '=', runId)
    .where('ended_at', 'is', null)
    .returning('id')
    .execute();
  for (const { id } of closed) {
    await trx
      .updateTable('build_architecture')
      .set({ status, ended_at: at })
      .where('build_id', '=', id)
      .where('status', 'in', ['pending', 'building'])
      .execute();
  }
}
