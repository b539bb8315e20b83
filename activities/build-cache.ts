import { createHash } from 'node:crypto';
import type { Architecture } from '../domain/build.ts';
import { buildCacheBranches, buildCacheRepository, buildCacheTag } from '../domain/build-cache.ts';
import type { RepositoryRef } from '../domain/chain.ts';
import { parseManifest } from '../domain/image-manifest.ts';
import { isNotFound } from '../domain/registry-error.ts';
import type { RunSource } from '../domain/source.ts';
import type { Database } from '../db/database.ts';
import {
  deleteBuildCache,
  listUnusedBuildCaches,
  noteBuildCache,
  takeBuildCaches,
} from '../db/repositories/build-cache.ts';
import type { Registries } from './drivers/registries.ts';

interface CacheDeps {
  readonly db: Database;
  readonly registries: Pick<Registries, 'client'>;
  readonly clock: () => Date;
}

/** The remote caches of one architecture's build; refs are `namespace/repository:tag` in the repository's own instance. */
export interface CachePlan {
  /** `namespace/repository` of all of them. */
  readonly repository: string;
  readonly imports: readonly string[];
  readonly export: { readonly branch: string; readonly tag: string; readonly ref: string } | null;
}

export interface CachePlanInput {
  readonly repository: RepositoryRef;
  readonly source: RunSource;
  readonly platform: Architecture;
  readonly defaultBranch: string | null;
}

/** What a build reads and writes: its branch's cache, where it has one yet, then the default branch's. */
export async function planCache(
  { db, clock }: Pick<CacheDeps, 'db' | 'clock'>,
  { repository: { id }, source, platform, defaultBranch }: CachePlanInput,
): Promise<CachePlan> {
  const repository = buildCacheRepository(id);
  const { reads, writes } = buildCacheBranches(source, defaultBranch);
  const imports = await takeBuildCaches(db, { repositoryId: id, platform, branches: reads, at: clock() });
  if (writes === null) return { repository, imports, export: null };
  const tag = buildCacheTag(createHash('sha256').update(writes).digest('hex'), platform);
  return { repository, imports, export: { branch: writes, tag, ref: `${repository}:${tag}` } };
}

/** Keeps size and hits of the cache a build wrote; one that could not be written leaves everything as it was. */
export async function noteCache(
  { db, registries, clock }: CacheDeps,
  { repository, platform }: Pick<CachePlanInput, 'repository' | 'platform'>,
  {
    plan,
    steps,
    cachedSteps,
    signal,
  }: { plan: CachePlan | null; steps: number; cachedSteps: number; signal: AbortSignal },
): Promise<void> {
  if (plan === null || plan.export === null) return;
  const { branch, tag, ref } = plan.export;
  const client = await registries.client(repository.instance, [{ repository: plan.repository, actions: ['pull'] }]);
  const stored = await client.manifestGet(plan.repository, tag, { signal }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (stored === undefined) return;
  const manifest = parseManifest(stored);
  const parts = manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : manifest.manifests;
  await noteBuildCache(db, {
    repository_id: repository.id,
    branch,
    platform,
    ref,
    size_bytes: parts.reduce((sum, { size }) => sum + size, stored.bytes.length),
    hits: cachedSteps,
    misses: steps - cachedSteps,
    last_used_at: clock(),
  });
}

/** Deletes a batch of caches no build has used since: those of branches that are gone. Answers how many. */
export async function removeUnusedCaches(
  { db, registries }: Pick<CacheDeps, 'db' | 'registries'>,
  { before, limit }: { before: Date; limit: number },
  signal: AbortSignal,
): Promise<number> {
  const caches = await listUnusedBuildCaches(db, { before, limit });
  for (const cache of caches) {
    const repository = buildCacheRepository(cache.repository_id);
    const access = [{ repository, actions: ['pull', 'push', 'delete'] }] as const;
    const client = await registries.client(cache.instance, access);
    await client.tagDelete(repository, cache.ref.slice(repository.length + 1), { signal });
    await deleteBuildCache(db, cache);
  }
  return caches.length;
}
