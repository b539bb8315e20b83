import { sql } from 'kysely';
import type { Architecture } from '../../domain/build.ts';
import { architectures } from '../../domain/build.ts';
import { buildWorkerLostMs } from '../../domain/task-queues.ts';
import type { Database } from '../database.ts';
import type { BuildWorkerRow } from '../tables/build.ts';

/** What one worker process says of itself; `id` is the process's own. */
export interface BuildWorkerNote {
  readonly id: string;
  readonly regions: readonly string[];
  readonly platforms: readonly Architecture[];
  readonly slots: number;
  readonly isolation: string;
  readonly at: Date;
}

/** A worker that has not been seen for a day will not come back under its id. */
const forgottenMs = 24 * 60 * 60 * 1000;

/** Notes that a worker builds, now; repeated every few seconds. Rows of workers long gone are removed on the way. */
export async function noteBuildWorker(
  db: Database,
  { id, regions, platforms, slots, isolation, at }: BuildWorkerNote,
): Promise<void> {
  if (regions.length === 0) return;
  const said = { platforms: JSON.stringify(platforms), slots, isolation, seen_at: at };
  await db
    .insertInto('build_worker')
    .values(regions.map((region) => ({ id, region, ...said })))
    .onConflict((conflict) => conflict.columns(['id', 'region']).doUpdateSet(said))
    .execute();
  await db
    .deleteFrom('build_worker')
    .where('seen_at', '<', new Date(at.getTime() - forgottenMs))
    .execute();
}

/** A worker that stops takes its rows along. */
export async function deleteBuildWorker(db: Database, id: string): Promise<void> {
  await db.deleteFrom('build_worker').where('id', '=', id).execute();
}

/** The workers seen lately, by region. */
export async function listBuildWorkers(db: Database, { at }: { at: Date }): Promise<BuildWorkerRow[]> {
  return db
    .selectFrom('build_worker')
    .selectAll()
    .where('seen_at', '>', seenAfter(at))
    .orderBy('region')
    .orderBy('id')
    .execute();
}

/** What the workers of a region can build now; undefined when no worker of it was seen lately. */
export async function listBuildPlatforms(
  db: Database,
  { region, at }: { region: string; at: Date },
): Promise<readonly Architecture[] | undefined> {
  const rows = await db
    .selectFrom('build_worker')
    .select('platforms')
    .where('region', '=', region)
    .where('seen_at', '>', seenAfter(at))
    .execute();
  if (rows.length === 0) return undefined;
  const offered = new Set(rows.flatMap(({ platforms }) => platforms));
  return architectures.filter((architecture) => offered.has(architecture));
}

/** An architecture of a running build that nobody can take. */
export interface WorkerlessBuild {
  readonly runId: string;
  readonly attempt: number;
  readonly platform: Architecture;
  readonly region: string;
}

/** Architectures that have waited since before `since` for a worker that is not there, and whose Record does not say so yet. */
export async function listWorkerless(
  db: Database,
  { since, at, code, limit }: { since: Date; at: Date; code: string; limit: number },
): Promise<WorkerlessBuild[]> {
  return db
    .selectFrom('run')
    .innerJoin('build', 'build.run_id', 'run.id')
    .innerJoin('build_architecture', 'build_architecture.build_id', 'build.id')
    .select(['run.id as runId', 'run.attempt', 'build_architecture.platform', 'build.region'])
    .where('run.ended_at', 'is', null)
    .where('run.status', '=', 'running')
    .where('run.started_at', '<', since)
    .where('build.ended_at', 'is', null)
    .where('build_architecture.status', '=', 'pending')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('build_worker')
            .select('build_worker.id')
            .whereRef('build_worker.region', '=', 'build.region')
            .where('build_worker.seen_at', '>', seenAfter(at))
            .where(sql<boolean>`build_worker.platforms ? build_architecture.platform`),
        ),
      ),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('run_step_child')
            .select('run_step_child.key')
            .whereRef('run_step_child.run_id', '=', 'run.id')
            .whereRef('run_step_child.attempt', '=', 'run.attempt')
            .where('run_step_child.step', '=', 'build')
            .whereRef('run_step_child.key', '=', 'build_architecture.platform')
            .where(sql<boolean>`run_step_child.reason ->> 'code' = ${code}`),
        ),
      ),
    )
    .limit(limit)
    .execute();
}

function seenAfter(at: Date): Date {
  return new Date(at.getTime() - buildWorkerLostMs);
}
