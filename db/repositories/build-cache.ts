import { sql } from 'kysely';
import type { Architecture } from '../../domain/build.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { Database } from '../database.ts';
import type { BuildBaseImageRow, BuildCacheRow, NewBuildCache } from '../tables/build.ts';

/** Which of a repository's caches are meant; what is left out does not narrow. */
export interface BuildCacheFilter {
  readonly repositoryId: string;
  readonly branch?: string | undefined;
  readonly platform?: string | undefined;
}

/** The caches of these branches that there are, in their order; each counts as used now. */
export async function takeBuildCaches(
  db: Database,
  {
    repositoryId,
    platform,
    branches,
    at,
  }: { repositoryId: string; platform: Architecture; branches: readonly string[]; at: Date },
): Promise<readonly string[]> {
  if (branches.length === 0) return [];
  const rows = await db
    .updateTable('build_cache')
    .set({ last_used_at: at })
    .where('repository_id', '=', repositoryId)
    .where('platform', '=', platform)
    .where('branch', 'in', branches)
    .returning(['branch', 'ref'])
    .execute();
  return branches.flatMap((branch) => rows.find((row) => row.branch === branch)?.ref ?? []);
}

/** A branch's cache was written: its size now, and how the build's steps fared, added to what is known. */
export async function noteBuildCache(db: Database, cache: NewBuildCache): Promise<void> {
  await db
    .insertInto('build_cache')
    .values(cache)
    .onConflict((conflict) =>
      conflict.columns(['repository_id', 'branch', 'platform']).doUpdateSet({
        ref: cache.ref,
        size_bytes: cache.size_bytes,
        hits: sql`build_cache.hits + excluded.hits`,
        misses: sql`build_cache.misses + excluded.misses`,
        last_used_at: cache.last_used_at,
      }),
    )
    .execute();
}

/** A page of a repository's caches by branch and platform. */
export async function listBuildCaches(
  db: Database,
  filter: BuildCacheFilter,
  { limit, after }: PageQuery,
): Promise<BuildCacheRow[]> {
  let query = filtered(db, filter);
  if (after !== undefined) query = query.where(sql<boolean>`(branch, platform) > (${after.key}, ${after.id})`);
  return query
    .orderBy('branch')
    .orderBy('platform')
    .limit(limit + 1)
    .execute();
}

/** Every cache that is meant. */
export async function findBuildCaches(db: Database, filter: BuildCacheFilter): Promise<BuildCacheRow[]> {
  return filtered(db, filter).execute();
}

/** Caches no build has read or written since, with the instance that holds them. */
export async function listUnusedBuildCaches(
  db: Database,
  { before, limit }: { before: Date; limit: number },
): Promise<(BuildCacheRow & { instance: string })[]> {
  return db
    .selectFrom('build_cache')
    .innerJoin('repository', 'repository.id', 'build_cache.repository_id')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .where('build_cache.last_used_at', '<', before)
    .selectAll('build_cache')
    .select('namespace.instance_id as instance')
    .orderBy('build_cache.last_used_at')
    .limit(limit)
    .execute();
}

function filtered(db: Database, { repositoryId, branch, platform }: BuildCacheFilter) {
  let query = db.selectFrom('build_cache').selectAll().where('repository_id', '=', repositoryId);
  if (branch !== undefined) query = query.where('branch', '=', branch);
  if (platform !== undefined) query = query.where(sql<boolean>`platform = ${platform}`);
  return query;
}

/** Forgets a cache; a build that goes on may write it anew. */
export async function deleteBuildCache(
  db: Database,
  { repository_id, branch, platform }: Pick<BuildCacheRow, 'repository_id' | 'branch' | 'platform'>,
): Promise<void> {
  await db
    .deleteFrom('build_cache')
    .where('repository_id', '=', repository_id)
    .where('branch', '=', branch)
    .where('platform', '=', platform)
    .execute();
}

/** Notes what a build started from; its architectures agree, or the last one counts. */
export async function noteBaseImages(
  db: Database,
  { buildId, baseImages }: { buildId: string; baseImages: readonly Omit<BuildBaseImageRow, 'build_id'>[] },
): Promise<void> {
  if (baseImages.length === 0) return;
  await db
    .insertInto('build_base_image')
    .values(baseImages.map(({ name, digest }) => ({ build_id: buildId, name, digest })))
    .onConflict((conflict) =>
      conflict.columns(['build_id', 'name']).doUpdateSet((eb) => ({ digest: eb.ref('excluded.digest') })),
    )
    .execute();
}
