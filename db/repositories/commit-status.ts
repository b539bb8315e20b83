import { sql } from 'kysely';
import type { Transaction } from 'kysely';
import type { CommitRun, CommitState } from '../../domain/commit-status.ts';
import type { Reason } from '../../domain/errors.ts';
import type { Database } from '../database.ts';
import { newUuid } from '../new-id.ts';
import type { Schema } from '../schema.ts';
import type { CommitStatusRow } from '../tables/source.ts';

/** The channel on which changed statuses are announced; the payload is the row's id. */
export const commitStatusChannel = 'slipway_commit_status';

/**
 * Puts a run's change into the outbox of statuses, in the caller's transaction. Nothing where the source host takes none, or its
 * credential may not set them.
 */
export async function noteCommitChange(
  trx: Transaction<Schema>,
  { repositoryId, commit, chainId, at }: { repositoryId: string; commit: string; chainId: string | null; at: Date },
): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    insert into commit_status (id, repository_id, commit, chain_key, changed_at)
    select ${newUuid(at)}, source_binding.repository_id, ${commit}, ${chainId ?? ''}, ${at}
    from source_binding join source_account on source_account.id = source_binding.source_account_id
    where source_binding.repository_id = ${repositoryId} and source_account.host <> 'git'
      and source_account.credential_ref is not null and source_binding.status_issue is null
    on conflict (repository_id, commit, chain_key)
    do update set version = commit_status.version + 1, changed_at = excluded.changed_at
    returning id`.execute(trx);
  const id = rows[0]?.id;
  if (id !== undefined) await sql`select pg_notify(${commitStatusChannel}, ${id})`.execute(trx);
}

/** Changes the engine does not know of yet, the oldest first. */
export async function listUnannounced(
  db: Database,
  { limit }: { limit: number },
): Promise<Pick<CommitStatusRow, 'id' | 'version'>[]> {
  return db
    .selectFrom('commit_status')
    .select(['id', 'version'])
    .whereRef('notified_version', '<', 'version')
    .orderBy('changed_at')
    .limit(limit)
    .execute();
}

/** Notes that the engine knows of a change; a newer one is announced again. */
export async function noteAnnounced(
  db: Database,
  { id, version }: Pick<CommitStatusRow, 'id' | 'version'>,
): Promise<void> {
  await db
    .updateTable('commit_status')
    .set({ notified_version: version })
    .where('id', '=', id)
    .where('notified_version', '<', version)
    .execute();
}

/** What is to be said of a commit now. */
export interface StatusCall {
  readonly status: CommitStatusRow;
  /** null for builds outside a chain, or when the chain was deleted since. */
  readonly chain: string | null;
  /** `namespace/name`. */
  readonly repository: string;
  /** The newest run of each build rule. */
  readonly runs: readonly (CommitRun & { readonly number: number })[];
}

/** undefined when the repository is gone. */
export async function findStatusCall(db: Database, id: string): Promise<StatusCall | undefined> {
  const found = await db
    .selectFrom('commit_status')
    .innerJoin('repository', 'repository.id', 'commit_status.repository_id')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .selectAll('commit_status')
    .select(['namespace.name as namespace', 'repository.name as repository'])
    .where('commit_status.id', '=', id)
    .executeTakeFirst();
  if (found === undefined) return undefined;
  const { namespace, repository, ...status } = found;
  const runs = await listCommitRuns(db, status);
  const chain = runs.find(({ chain_name: name }) => name !== null)?.chain_name ?? null;
  return { status, chain, repository: `${namespace}/${repository}`, runs: runs.map(toCommitRun) };
}

async function listCommitRuns(db: Database, { repository_id: repositoryId, commit, chain_key: key }: CommitStatusRow) {
  return db
    .selectFrom('run')
    .distinctOn('build_rule_id')
    .select(['id', 'build_id', 'number', 'status', 'result', 'reason', 'chain_name'])
    .where('repository_id', '=', repositoryId)
    .where('commit', '=', commit)
    .where(sql<boolean>`coalesce(chain_id, '') = ${key}`)
    .orderBy('build_rule_id')
    .orderBy('order_no', 'desc')
    .orderBy('queued_at', 'desc')
    .execute();
}

function toCommitRun({
  id,
  build_id: buildId,
  number,
  status,
  result,
  reason,
}: Awaited<ReturnType<typeof listCommitRuns>>[number]) {
  return { id, buildId, number, status, result, text: reason?.text ?? null };
}

/** Notes how telling the host went: what was said, or why it was not. */
export async function recordStatusSent(
  db: Database,
  {
    id,
    version,
    state,
    issue,
    at,
  }: { id: string; version: number; state: CommitState; issue: Reason | null; at: Date },
): Promise<void> {
  await db
    .updateTable('commit_status')
    .set(
      issue === null
        ? { sent_version: version, sent_state: state, sent_at: at, issue: null }
        : { issue: JSON.stringify(issue) },
    )
    .where('id', '=', id)
    .execute();
}

/** Switches a binding's statuses off, until it is bound again. */
export async function recordStatusRefused(
  db: Database,
  { repositoryId, issue }: { repositoryId: string; issue: Reason },
): Promise<void> {
  await db
    .updateTable('source_binding')
    .set({ status_issue: JSON.stringify(issue) })
    .where('repository_id', '=', repositoryId)
    .execute();
}

/** Deletes what was said of commits whose last change is over; answers how many. */
export async function deleteExpiredStatuses(
  db: Database,
  { before, limit }: { before: Date; limit: number },
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('commit_status')
    .where('id', 'in', (eb) =>
      eb.selectFrom('commit_status').select('id').where('changed_at', '<', before).limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}
