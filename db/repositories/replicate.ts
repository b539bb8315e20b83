import { sql } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { ReplicationTarget } from '../../domain/replicate.ts';
import type { Database } from '../database.ts';
import { newId } from '../new-id.ts';
import type { ReplicationTaskRow } from '../tables/replicate.ts';

/** Bytes and blobs of one copy, so far or in all. */
export interface CopyProgress {
  readonly bytesTotal: number;
  readonly bytesCopied: number;
  readonly blobsCopied: number;
  readonly blobsMounted: number;
  readonly blobsSkipped: number;
}

/** Opens one task per target, or takes up those of an earlier attempt; natural key (run, destination). Ids in the targets' order. */
export async function startReplicationTasks(
  db: Database,
  { runId, digest, targets, at }: { runId: string; digest: string; targets: readonly ReplicationTarget[]; at: Date },
): Promise<readonly Pick<ReplicationTaskRow, 'id' | 'destination_key'>[]> {
  return db
    .insertInto('replication_task')
    .values(
      targets.map((target) => ({
        id: newId('rst'),
        run_id: runId,
        rule_id: target.ruleId,
        digest,
        destination_key: target.key,
        status: 'running' as const,
        reason: JSON.stringify(null),
        attempts: 1,
        created_at: at,
        started_at: at,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['run_id', 'destination_key']).doUpdateSet({
        status: 'running',
        attempts: sql`replication_task.attempts + 1`,
        ended_at: null,
      }),
    )
    .returning(['id', 'destination_key'])
    .execute();
}

export async function noteReplicationProgress(
  db: Database,
  ids: readonly string[],
  progress: CopyProgress,
): Promise<void> {
  await db.updateTable('replication_task').set(progressColumns(progress)).where('id', 'in', ids).execute();
}

/** An attempt failed and will be tried again: the task says why it waits. */
export async function noteReplicationIssue(
  db: Database,
  ids: readonly string[],
  { issue, reason }: { issue: string; reason: Reason },
): Promise<void> {
  await db
    .updateTable('replication_task')
    .set({ status: 'pending', issue, reason: JSON.stringify(reason) })
    .where('id', 'in', ids)
    .execute();
}

export async function endReplicationTasks(
  db: Database,
  ids: readonly string[],
  {
    status,
    issue,
    reason,
    progress,
    at,
  }: {
    status: 'success' | 'failed' | 'canceled';
    issue: string | null;
    reason: Reason | null;
    progress: CopyProgress | null;
    at: Date;
  },
): Promise<void> {
  await db
    .updateTable('replication_task')
    .set({
      status,
      issue,
      reason: JSON.stringify(reason),
      ended_at: at,
      verified_at: status === 'success' ? at : null,
      ...(progress === null ? {} : progressColumns(progress)),
    })
    .where('id', 'in', ids)
    .execute();
}

function progressColumns(progress: CopyProgress) {
  return {
    bytes_total: progress.bytesTotal,
    bytes_copied: progress.bytesCopied,
    blobs_copied: progress.blobsCopied,
    blobs_mounted: progress.blobsMounted,
    blobs_skipped: progress.blobsSkipped,
  };
}
