import { sql } from 'kysely';
import type { RunStatus } from '../../domain/record.ts';
import type { Database } from '../database.ts';

/** Something that does not hold, and where. */
export interface Finding {
  readonly subject: string;
  readonly text: string;
}

/** Deliveries that came to nothing known: still pending after `before`, without an outcome, or naming a run that is not theirs. */
export async function listUnexplainedDeliveries(
  db: Database,
  { before }: { before: Date },
): Promise<readonly Finding[]> {
  const { rows } = await sql<Finding>`
    with told as (
      select inbox.id, run_id from inbox
      cross join lateral jsonb_array_elements_text(inbox.outcome -> 'runs') as told (run_id)
      where inbox.outcome ->> 'kind' = 'runs')
    select 'inbox ' || id as subject, 'pending since ' || received_at as text
      from inbox where state = 'pending' and received_at < ${before}
    union all
    select 'inbox ' || id, 'handled without a known outcome: ' || coalesce(outcome::text, 'null')
      from inbox where state = 'handled'
        and coalesce(outcome ->> 'kind', '') not in ('runs', 'ignored', 'duplicate', 'superseded', 'invalid')
    union all
    select 'inbox ' || id, 'came to runs and names none' from inbox
      where outcome ->> 'kind' = 'runs' and jsonb_array_length(outcome -> 'runs') = 0
    union all
    select 'inbox ' || told.id, 'names the run ' || told.run_id || ', which is not there' from told
      where not exists (select 1 from run where run.id = told.run_id)
    union all
    select 'run ' || run_id, 'is the outcome of ' || count(*) || ' deliveries' from told
      group by run_id having count(*) > 1`.execute(db);
  return rows;
}

/** A run that has not ended, with what its workflow is checked by. */
export interface LiveRun {
  readonly id: string;
  readonly workflow_id: string;
  readonly status: RunStatus;
  readonly is_waiting: boolean;
  readonly isStarted: boolean;
  readonly isSuperseded: boolean;
  readonly queued_at: Date;
  readonly started_at: Date | null;
  readonly deadlineMs: number;
  /** A run of its line lives that does not wait. */
  readonly isBehindAnother: boolean;
}

/** Every run that has not ended; with `id` that one, if it has not. */
export async function listLiveRuns(db: Database, { id }: { id?: string } = {}): Promise<readonly LiveRun[]> {
  const { rows } = await sql<LiveRun>`
    select id, workflow_id, status, is_waiting, started_note_at is not null as "isStarted",
      superseded_by_id is not null as "isSuperseded", queued_at, started_at,
      (input #>> '{timings,deadlineMs}')::float8 as "deadlineMs",
      exists (select 1 from run as before where before.concurrency_key = run.concurrency_key
        and before.status in ('queued', 'running', 'canceling') and not before.is_waiting) as "isBehindAnother"
    from run where ended_at is null and ${id === undefined ? sql`true` : sql`id = ${id}`} order by id`.execute(db);
  return rows;
}

/** Runs that ended and are not shown as ended, or have steps that are still open. */
export async function listHalfEndedRuns(db: Database): Promise<readonly Finding[]> {
  const { rows } = await sql<Finding>`
    select 'run ' || id as subject, 'ended as ' || status || ' with the result ' || coalesce(result, 'null') as text
      from run where (ended_at is null) <> (status in ('queued', 'running', 'canceling')) or (ended_at is null) <> (result is null)
    union all
    select 'run ' || run.id, 'ended, and its step ' || run_step.name || ' is ' || run_step.state
      from run join run_step on run_step.run_id = run.id and run_step.attempt = run.attempt
      where run.ended_at is not null and run_step.state in ('waiting', 'running')
    union all
    select 'build ' || build.id, 'is ' || build.status || ' though its run ended'
      from run join build on build.run_id = run.id where run.ended_at is not null and build.ended_at is null`.execute(
    db,
  );
  return rows;
}

/**
 * Commits of a ref built twice by one rule without reason: two live runs, or a later run by a push though the ref stood on no other
 * commit in between.
 */
export async function listDoubledBuilds(db: Database): Promise<readonly Finding[]> {
  const { rows } = await sql<Finding>`
    select 'rule ' || build_rule_id as subject,
      count(*) || ' live runs of ' || ref_type || ' ' || ref || ' at ' || commit as text
    from run where build_rule_id is not null and status in ('queued', 'running') and superseded_by_id is null
    group by build_rule_id, ref_type, ref, commit having count(*) > 1
    union all
    select 'run ' || later.id, 'builds ' || later.ref_type || ' ' || later.ref || ' at ' || later.commit
      || ' again after run ' || earlier.id || ', with no change in between'
    from run as later
    join lateral (
      select * from run as before where before.build_rule_id = later.build_rule_id and before.ref_type = later.ref_type
        and before.ref = later.ref and before.commit = later.commit and before.order_no < later.order_no
      order by before.order_no desc limit 1) as earlier on true
    where later.build_rule_id is not null and later.cause in ('source_push', 'catch_up')
      and not exists (select 1 from run as other where other.repository_id = later.repository_id
        and other.ref_type = later.ref_type and other.ref = later.ref and other.commit <> later.commit
        and other.order_no between earlier.order_no and later.order_no)
      and not exists (select 1 from inbox cross join lateral jsonb_array_elements(inbox.changes) as change
        where inbox.repository_id = later.repository_id and inbox.received_at >= earlier.queued_at
          and inbox.received_at <= later.queued_at and change ->> 'ref' = later.ref
          and change ->> 'refType' = later.ref_type and coalesce(change ->> 'commit', '') <> later.commit)`.execute(db);
  return rows;
}

/** Tags whose history falls back, or whose row is not its last move. */
export async function listUnorderedTags(db: Database): Promise<readonly Finding[]> {
  const { rows } = await sql<Finding>`
    with moves as (
      select *, lag(order_no) over line as before, lag(sequence) over line as sequence_before,
        row_number() over (partition by repository_id, tag order by id desc) as newest
      from tag_move window line as (partition by repository_id, tag order by id))
    select 'tag ' || repository_id || ':' || tag as subject,
      'moved from the number ' || before || ' back to ' || order_no || ' by run ' || run_id as text
      from moves where order_no < before
    union all
    select 'tag ' || repository_id || ':' || tag, 'its move ' || sequence_before || ' is followed by ' || sequence
      from moves where sequence <> sequence_before + 1
    union all
    select 'tag ' || tag_pointer.repository_id || ':' || tag_pointer.tag,
      'points at ' || tag_pointer.digest || ', its last move at ' || coalesce(moves.digest, 'nothing')
    from tag_pointer left join moves on moves.repository_id = tag_pointer.repository_id
      and moves.tag = tag_pointer.tag and moves.newest = 1
    where exists (select 1 from tag_move where tag_move.repository_id = tag_pointer.repository_id
        and tag_move.tag = tag_pointer.tag)
      and (moves.digest is distinct from tag_pointer.digest or moves.order_no is distinct from tag_pointer.order_no)`.execute(
    db,
  );
  return rows;
}

/** A tag as its row says, and where it is. */
export interface PointedTag {
  readonly repositoryId: string;
  readonly instanceId: string;
  /** `namespace/repository`. */
  readonly path: string;
  readonly tag: string;
  readonly digest: string;
}

/** Every tag that points, or the one given. */
export async function listPointedTags(
  db: Database,
  one?: Pick<PointedTag, 'repositoryId' | 'tag'>,
): Promise<readonly PointedTag[]> {
  let query = db
    .selectFrom('tag_pointer')
    .innerJoin('repository', 'repository.id', 'tag_pointer.repository_id')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .select([
      'tag_pointer.repository_id as repositoryId',
      'namespace.instance_id as instanceId',
      sql<string>`namespace.name || '/' || repository.name`.as('path'),
      'tag_pointer.tag',
      'tag_pointer.digest',
    ]);
  if (one !== undefined)
    query = query.where('tag_pointer.repository_id', '=', one.repositoryId).where('tag_pointer.tag', '=', one.tag);
  return query.orderBy('tag_pointer.repository_id').orderBy('tag_pointer.tag').execute();
}

/** Logs with a gap, an overlap or another end than their build says. Logs that were removed for their age have no pieces at all. */
export async function listBrokenLogs(db: Database): Promise<readonly Finding[]> {
  const { rows } = await sql<Finding>`
    with pieces as (
      select *, lag(first_line + lines) over line as expected,
        lag(first_byte) over line as byte_before from log_segment
      window line as (partition by build_id order by first_line))
    select 'build ' || build_id as subject,
      'its log goes on at line ' || first_line || ' instead of ' || coalesce(expected, 1) as text
      from pieces where first_line <> coalesce(expected, 1)
    union all
    select 'build ' || build_id, 'its log goes back in bytes at line ' || first_line from pieces where first_byte < byte_before
    union all
    select 'build ' || build.id, 'its log ends at line ' || pieces.last_line || ', the build says ' || build.log_lines
      from build join (select build_id, max(first_line + lines - 1) as last_line from log_segment group by build_id) as pieces
        on pieces.build_id = build.id
      where pieces.last_line <> build.log_lines`.execute(db);
  return rows;
}

/** A stored piece of a log. */
export interface LogPiece {
  readonly build_id: string;
  readonly first_line: number;
  readonly sha256: string;
  readonly object_key: string;
}

/** Pieces of logs in order, a page after another. */
export async function listLogPieces(
  db: Database,
  { after, limit }: { after?: LogPiece; limit: number },
): Promise<readonly LogPiece[]> {
  let query = db.selectFrom('log_segment').select(['build_id', 'first_line', 'sha256', 'object_key']);
  if (after !== undefined)
    query = query.where(sql<boolean>`(build_id, first_line) > (${after.build_id}, ${after.first_line})`);
  return query.orderBy('build_id').orderBy('first_line').limit(limit).execute();
}
