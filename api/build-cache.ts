import { deleteBuildCache, findBuildCaches } from '../db/repositories/build-cache.ts';
import type { BuildCacheFilter } from '../db/repositories/build-cache.ts';
import { buildCacheRepository } from '../domain/build-cache.ts';
import { AppError } from '../domain/errors.ts';
import type { ApiDeps } from './deps.ts';

const deleteMs = 25_000;

/**
 * Deletes remote caches, in the registry and here; the next build of such a branch starts cold, or with the default branch's
 * cache (docs/product.md, section 7, "Caches"). What fails half-way can be asked for again. Throws 503 `registry.not_reachable`.
 */
export async function cleanBuildCaches(
  { db, registries }: Pick<ApiDeps, 'db' | 'registries'>,
  { instance, filter }: { instance: string; filter: BuildCacheFilter },
): Promise<void> {
  const caches = await findBuildCaches(db, filter);
  if (caches.length === 0) return;
  const repository = buildCacheRepository(filter.repositoryId);
  const signal = AbortSignal.timeout(deleteMs);
  try {
    const client = await registries.client(instance, [{ repository, actions: ['pull', 'push', 'delete'] }]);
    for (const cache of caches) {
      // Another branch may have the same manifest: only the tag goes.
      await client.tagDelete(repository, cache.ref.slice(repository.length + 1), { signal });
      await deleteBuildCache(db, cache);
    }
  } catch (error) {
    throw new AppError(
      503,
      'registry.not_reachable',
      'The registry did not delete every cache; those it deleted are gone. Try again in a moment; if it stays, check the instance.',
      { cause: error, extra: { retryAfterSeconds: 10 } },
    );
  }
}
