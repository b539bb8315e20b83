import { sql } from 'kysely';
import { notFound } from '../../domain/errors.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { RunFilter } from '../../domain/record.ts';
import type { Database } from '../database.ts';
import type { RunEventRow, RunRow, RunStepChildRow, RunStepRow } from '../tables/record.ts';

/** A run with the names of where it belongs, as they are now. */
export interface RunWithPlace extends Omit<RunRow, 'input' | 'trigger_snapshots' | 'concurrency_key' | 'priority'> {
  readonly namespace: string;
  readonly repository: string;
  readonly instance: string;
  /** The chain's id as at the start, also when it was deleted since. */
  readonly chain_started_id: string | null;
  /** null: the chain was deleted. */
  readonly chain_current_version: number | null;
  /** Numbers of the newer run it gave way to, and of the older one that gave way to it. */
  readonly superseded_by_number: number | null;
  readonly supersedes_number: number | null;
}

/** Chain runs by the filter, newest first. Builds outside a chain have no Record and are not among them. */
export async function listRuns(db: Database, filter: RunFilter, { limit, after }: PageQuery): Promise<RunWithPlace[]> {
  let query = filtered(withPlace(db), filter).where('run.number', '>', 0);
  if (after !== undefined) {
    query = query.where(sql<boolean>`(run.queued_at, run.id) < (${new Date(after.key)}, ${after.id})`);
  }
  return query
    .orderBy('run.queued_at', 'desc')
    .orderBy('run.id', 'desc')
    .limit(limit + 1)
    .execute();
}

/** A run as the list of source events names it. */
export interface NamedRun {
  readonly id: string;
  /** null: a build outside a chain. */
  readonly chain: string | null;
  readonly number: number;
  readonly build: string | null;
  readonly status: RunRow['status'];
  readonly result: RunRow['result'];
}

/** These runs of a repository by their ids, those outside chains too; what was deleted is left out. */
export async function listNamedRuns(
  db: Database,
  repositoryId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, NamedRun>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('run')
    .select(['id', 'chain_name as chain', 'number', 'build_id as build', 'status', 'result'])
    .where('repository_id', '=', repositoryId)
    .where('id', 'in', ids)
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** Throws 404 `run.not_found`. */
export async function getRun(db: Database, id: string): Promise<RunWithPlace & Pick<RunRow, 'input'>> {
  const run = await withPlace(db).select('run.input').where('run.id', '=', id).executeTakeFirst();
  if (run === undefined) throw notFound('run', id);
  return run;
}

function withPlace(db: Database) {
  return db
    .selectFrom('run')
    .innerJoin('repository', 'repository.id', 'run.repository_id')
    .innerJoin('namespace', 'namespace.id', 'run.namespace_id')
    .innerJoin('instance', 'instance.id', 'run.instance_id')
    .leftJoin('chain', 'chain.id', 'run.chain_id')
    .leftJoin('run as newer', 'newer.id', 'run.superseded_by_id')
    .leftJoin('run as older', 'older.id', 'run.supersedes_id')
    .select([
      'run.id',
      'run.number',
      'run.chain_id',
      'run.chain_name',
      'run.chain_version',
      'run.instance_id',
      'run.namespace_id',
      'run.repository_id',
      'run.build_rule_id',
      'run.build_id',
      'run.cause',
      'run.actor',
      'run.ref',
      'run.ref_type',
      'run.commit',
      'run.message',
      'run.author',
      'run.tags',
      'run.digest',
      'run.images',
      'run.status',
      'run.result',
      'run.reason',
      'run.attempt',
      'run.order_no',
      'run.workflow_id',
      'run.workflow_run_id',
      'run.started_note_at',
      'run.cancel_requested_by',
      'run.is_waiting',
      'run.superseded_by_id',
      'run.supersedes_id',
      'newer.number as superseded_by_number',
      'older.number as supersedes_number',
      'run.queued_at',
      'run.started_at',
      'run.ended_at',
      'run.version',
      'namespace.name as namespace',
      'repository.name as repository',
      'instance.name as instance',
      'chain.version as chain_current_version',
      sql<string | null>`run.input #>> '{chain,id}'`.as('chain_started_id'),
    ]);
}

type RunQuery = ReturnType<typeof withPlace>;

/** Every filter of the Record list. `instance`, `chain` and `repository` take an id or a name (`namespace/name`). */
function filtered(query: RunQuery, filter: RunFilter): RunQuery {
  const { instance, repository, chain, result, status, ref, tag, commit, digest, actor, since, until } = filter;
  let found = query;
  if (instance !== undefined) {
    found = found.where((eb) => eb.or([eb('instance.id', '=', instance), eb('instance.name', '=', instance)]));
  }
  if (chain !== undefined) {
    found = found.where((eb) => eb.or([eb('run.chain_id', '=', chain), eb('run.chain_name', '=', chain)]));
  }
  if (repository !== undefined) {
    found = found.where((eb) =>
      eb.or([
        eb('run.repository_id', '=', repository),
        sql<boolean>`namespace.name || '/' || repository.name = ${repository}`,
      ]),
    );
  }
  if (result !== undefined) found = found.where('run.result', '=', result);
  if (status !== undefined) found = found.where('run.status', '=', status);
  if (ref !== undefined) found = found.where('run.ref', '=', ref);
  if (actor !== undefined) found = found.where('run.actor', '=', actor);
  if (commit !== undefined) found = found.where(sql<boolean>`starts_with(run.commit, ${commit.toLowerCase()})`);
  if (tag !== undefined) found = found.where(sql<boolean>`run.tags @> ${JSON.stringify([tag])}::jsonb`);
  if (digest !== undefined) found = found.where(hasDigest(digest));
  if (since !== undefined) found = found.where('run.queued_at', '>=', new Date(since));
  if (until !== undefined) found = found.where('run.queued_at', '<', new Date(until));
  return found;
}

/** The digest of the run's image, or of one architecture of it. */
function hasDigest(digest: string) {
  return sql<boolean>`(run.digest = ${digest} or exists (
    select 1 from build_architecture where build_architecture.build_id = run.build_id and build_architecture.digest = ${digest}))`;
}

/** The present attempt's steps of these runs, in chain order. */
export async function listRunSteps(db: Database, runIds: readonly string[]): Promise<RunStepRow[]> {
  if (runIds.length === 0) return [];
  return db
    .selectFrom('run_step')
    .innerJoin('run', (join) =>
      join.onRef('run.id', '=', 'run_step.run_id').onRef('run.attempt', '=', 'run_step.attempt'),
    )
    .selectAll('run_step')
    .where('run_step.run_id', 'in', runIds)
    .orderBy('run_step.ordinal')
    .execute();
}

/** The children of every step of one attempt, by key. */
export async function listRunChildren(
  db: Database,
  { runId, attempt }: { runId: string; attempt: number },
): Promise<RunStepChildRow[]> {
  return db
    .selectFrom('run_step_child')
    .selectAll()
    .where('run_id', '=', runId)
    .where('attempt', '=', attempt)
    .orderBy('key')
    .execute();
}

/** A run's trail, oldest first. */
export async function listRunEvents(db: Database, runId: string, { limit, after }: PageQuery): Promise<RunEventRow[]> {
  let query = db.selectFrom('run_event').selectAll().where('run_id', '=', runId);
  if (after !== undefined) query = query.where('id', '>', Number(after.id));
  return query
    .orderBy('id')
    .limit(limit + 1)
    .execute();
}
