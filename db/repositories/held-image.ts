import { sql } from 'kysely';
import type { Database } from '../database.ts';

/** A run that is over, and what is left of its image at the registry under no tag. */
export interface ExpiredRun {
  readonly runId: string;
  readonly repositoryId: string;
  /** The name of the repository's instance. */
  readonly instance: string;
  /** `namespace/repository`. */
  readonly path: string;
  /** Of a build whose image never had a tag: the image first, then its architectures. */
  readonly digests: readonly string[];
}

/**
 * Runs that ended before, the oldest first. One whose logs or reports still stand as objects is not among them, since nothing else
 * names those.
 */
export async function listExpiredRuns(
  db: Database,
  { before, limit, except }: { before: Date; limit: number; except: readonly string[] },
): Promise<ExpiredRun[]> {
  const { rows } = await sql<ExpiredRun>`
    select run.id as "runId", run.repository_id as "repositoryId", instance.name as instance,
      namespace.name || '/' || repository.name as path,
      coalesce((
        select array_remove(array[build.digest] || array(
          select distinct digest from build_architecture
          where build_architecture.build_id = build.id and digest is distinct from build.digest), null)
        from build
        where build.run_id = run.id
          and not exists (
            select from tag_move where tag_move.repository_id = run.repository_id and tag_move.digest = build.digest)
      ), '{}') as digests
    from run
    join repository on repository.id = run.repository_id
    join namespace on namespace.id = repository.namespace_id
    join instance on instance.id = namespace.instance_id
    where run.ended_at < ${before} and not (run.id = any(${[...except]}))
      and not exists (
        select from log_segment join build on build.id = log_segment.build_id where build.run_id = run.id)
      and not exists (
        select from scan_report join scan on scan.id = scan_report.scan_id
        where scan.run_id = run.id and (scan_report.report_key is not null or scan_report.sbom_key is not null))
    order by run.ended_at
    limit ${limit}`.execute(db);
  return rows;
}

/** Deletes runs with their builds, steps, events, scans, tasks and deliveries. */
export async function deleteRuns(db: Database, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await db.deleteFrom('run').where('id', 'in', ids).execute();
}

/**
 * Which of these manifests a Record other than the run's names: the image of its build, or an architecture of it. A run whose denied
 * image was deleted names none; nor does one whose image is `image` itself.
 */
export async function listNeededDigests(
  db: Database,
  {
    repositoryId,
    runId,
    image,
    digests,
  }: { repositoryId: string; runId: string; image: string | null; digests: readonly string[] },
): Promise<ReadonlySet<string>> {
  if (digests.length === 0) return new Set();
  const { rows } = await sql<{ digest: string }>`
    select distinct held.digest
    from (
      select id, digest from build where digest = any(${[...digests]}) union all
      select build_id, digest from build_architecture where digest = any(${[...digests]})) held
    join build on build.id = held.id
    where build.repository_id = ${repositoryId} and build.run_id <> ${runId}
      and (${image}::text is null or build.digest is distinct from ${image})
      and not exists (
        select from run_step where run_step.run_id = build.run_id and run_step.name = 'scan'
          and run_step.result ->> 'isDeleted' = 'true')`.execute(db);
  return new Set(rows.map(({ digest }) => digest));
}
