import { sql } from 'kysely';
import { notFound } from '../../domain/errors.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { Database } from '../database.ts';
import type { ReplicationTaskRow } from '../tables/replicate.ts';

/** What `GET /v1/replication-tasks` filters by. */
export interface ReplicationTaskFilter {
  readonly rule?: string | undefined;
  readonly run?: string | undefined;
  readonly status?: ReplicationTaskRow['status'] | undefined;
}

/** Throws 404 `replication_task.not_found`. */
export async function getReplicationTask(db: Database, id: string): Promise<ReplicationTaskRow> {
  const task = await db.selectFrom('replication_task').selectAll().where('id', '=', id).executeTakeFirst();
  if (task === undefined) throw notFound('replication_task', id);
  return task;
}

/** Copies, newest first. */
export async function listReplicationTasks(
  db: Database,
  { rule, run, status }: ReplicationTaskFilter,
  { limit, after }: PageQuery,
): Promise<ReplicationTaskRow[]> {
  let query = db.selectFrom('replication_task').selectAll();
  if (rule !== undefined) query = query.where('rule_id', '=', rule);
  if (run !== undefined) query = query.where('run_id', '=', run);
  if (status !== undefined) query = query.where('status', '=', status);
  if (after !== undefined) {
    query = query.where(sql<boolean>`(created_at, id) < (${new Date(after.key)}, ${after.id})`);
  }
  return query
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
}
