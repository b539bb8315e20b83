import { sql } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { ReplicationTarget } from '../../domain/replicate.ts';
import type { Database } from '../database.ts';
import { newId } from '../new-id.ts';
import type { ReplicationTaskRow } from '../tables/replicate.ts';

/** Bytes and blobs of one copy, so far or in all. */
export interface CopyCounts {
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

export async function noteReplicationProgress(db: Database, ids: readonly string[], counts: CopyCounts): Promise<void> {
  await db.updateTable('replication_task').set(countColumns(counts)).where('id', 'in', ids).execute();
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

/** How a task ended; `counts` null leaves those of its progress. */
export interface ReplicationEnd {
  readonly status: 'success' | 'failed' | 'canceled';
  readonly issue: string | null;
  readonly reason: Reason | null;
  readonly counts: CopyCounts | null;
  readonly at: Date;
}

export async function endReplicationTasks(
  db: Database,
  ids: readonly string[],
  { status, issue, reason, counts, at }: ReplicationEnd,
): Promise<void> {
  await db
    .updateTable('replication_task')
    .set({
      status,
      issue,
      reason: JSON.stringify(reason),
      ended_at: at,
      verified_at: status === 'success' ? at : null,
      ...(counts === null ? {} : countColumns(counts)),
    })
    .where('id', 'in', ids)
    .execute();
}

/** Where a destination already holds blobs of a source repository: paths by digest, to mount from. */
export async function mountPlaces(
  db: Database,
  { source, instance }: { source: { instanceId: string; path: string }; instance: string },
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await db
    .selectFrom('blob_place as held')
    .innerJoin('blob_place as there', 'there.digest', 'held.digest')
    .innerJoin('instance', 'instance.id', 'there.instance_id')
    .select(['there.digest', 'there.path'])
    .where('held.instance_id', '=', source.instanceId)
    .where('held.path', '=', source.path)
    .where('instance.name', '=', instance)
    .execute();
  const places = new Map<string, string[]>();
  for (const { digest, path } of rows) places.set(digest, [...(places.get(digest) ?? []), path]);
  return places;
}

/** After a copy the destination holds what the source repository holds; a hint only: a mount that fails becomes an upload. */
export async function noteBlobPlaces(
  db: Database,
  { source, instance, path }: { source: { instanceId: string; path: string }; instance: string; path: string },
): Promise<void> {
  await db
    .insertInto('blob_place')
    .columns(['instance_id', 'path', 'digest'])
    .expression((eb) =>
      eb
        .selectFrom('blob_place as held')
        .innerJoin('instance', (join) => join.on('instance.name', '=', instance))
        .select(['instance.id', sql<string>`${path}`.as('path'), 'held.digest'])
        .where('held.instance_id', '=', source.instanceId)
        .where('held.path', '=', source.path),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function countColumns(counts: CopyCounts) {
  return {
    bytes_total: counts.bytesTotal,
    bytes_copied: counts.bytesCopied,
    blobs_copied: counts.blobsCopied,
    blobs_mounted: counts.blobsMounted,
    blobs_skipped: counts.blobsSkipped,
  };
}
