import { sql } from 'kysely';
import type { DeliveryChainInput } from '../../domain/chain.ts';
import { notFound } from '../../domain/errors.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { BuildArchitectureRow, BuildRow } from '../tables/build.ts';
import { buildPlaces } from './queue.ts';
import type { QueuePlace } from './queue.ts';
import type { RunTrigger } from '../tables/record.ts';

/** A build with its architectures and where it belongs. */
export interface BuildWithParts extends BuildRow {
  /** 0: the build is outside any chain, its run is not shown. */
  readonly run_number: number;
  readonly namespace: string;
  readonly repository: string;
  readonly instance: string;
  readonly architectures: readonly BuildArchitectureRow[];
  /** null: it does not wait for a worker. */
  readonly queuePlace: QueuePlace | null;
}

/** Throws 404 `build.not_found`. */
export async function getBuild(db: Database, id: string): Promise<BuildWithParts> {
  const build = await withPlace(db).where('build.id', '=', id).executeTakeFirst();
  if (build === undefined) throw notFound('build', id);
  const [whole] = await withArchitectures(db, [build]);
  return whole ?? { ...build, architectures: [], queuePlace: null };
}

/** A repository's builds, newest first. */
export async function listBuilds(
  db: Database,
  repositoryId: string,
  { limit, after }: PageQuery,
): Promise<BuildWithParts[]> {
  let query = withPlace(db).where('build.repository_id', '=', repositoryId);
  if (after !== undefined) {
    query = query.where(sql<boolean>`(build.queued_at, build.id) < (${new Date(after.key)}, ${after.id})`);
  }
  const builds = await query
    .orderBy('build.queued_at', 'desc')
    .orderBy('build.id', 'desc')
    .limit(limit + 1)
    .execute();
  return withArchitectures(db, builds);
}

function withPlace(db: Database) {
  return db
    .selectFrom('build')
    .innerJoin('run', 'run.id', 'build.run_id')
    .innerJoin('repository', 'repository.id', 'build.repository_id')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .selectAll('build')
    .select([
      'run.number as run_number',
      'namespace.name as namespace',
      'repository.name as repository',
      'instance.name as instance',
    ]);
}

async function withArchitectures<Row extends BuildRow>(
  db: Database,
  builds: readonly Row[],
): Promise<(Row & { architectures: BuildArchitectureRow[]; queuePlace: QueuePlace | null })[]> {
  if (builds.length === 0) return [];
  const rows = await db
    .selectFrom('build_architecture')
    .selectAll()
    .where(
      'build_id',
      'in',
      builds.map((build) => build.id),
    )
    .orderBy('platform')
    .execute();
  const open = builds.filter(({ ended_at: endedAt }) => endedAt === null).map(({ id }) => id);
  const places = await buildPlaces(db, open);
  return builds.map((build) => ({
    ...build,
    architectures: rows.filter((row) => row.build_id === build.id),
    queuePlace: places.get(build.id) ?? null,
  }));
}

/** What a rebuild takes over from an earlier build. */
export interface RebuildSource {
  readonly repositoryId: string;
  readonly input: DeliveryChainInput;
  readonly triggers: readonly RunTrigger[];
  readonly isEnded: boolean;
  readonly architectures: readonly BuildArchitectureRow[];
  /** False: the chain was deleted, or the build never had one. */
  readonly isChainThere: boolean;
}

/** Throws 404 `build.not_found`. */
export async function getBuildForRebuild(trx: Database | DatabaseTransaction, id: string): Promise<RebuildSource> {
  const row = await trx
    .selectFrom('build')
    .innerJoin('run', 'run.id', 'build.run_id')
    .where('build.id', '=', id)
    .select(['run.repository_id', 'run.input', 'run.trigger_snapshots', 'run.ended_at', 'run.chain_id'])
    .executeTakeFirst();
  if (row === undefined) throw notFound('build', id);
  const architectures = await trx
    .selectFrom('build_architecture')
    .selectAll()
    .where('build_id', '=', id)
    .orderBy('platform')
    .execute();
  return {
    repositoryId: row.repository_id,
    architectures,
    input: row.input,
    triggers: row.trigger_snapshots,
    isEnded: row.ended_at !== null,
    isChainThere: row.chain_id !== null,
  };
}
