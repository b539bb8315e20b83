import { z } from '@hono/zod-openapi';
import { listBuildCaches } from '../../db/repositories/build-cache.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import type { BuildCacheRow } from '../../db/tables/build.ts';
import { architectures } from '../../domain/build.ts';
import { cleanBuildCaches } from '../build-cache.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, newRoutes, noContent, route } from '../route.ts';
import { timeOf, timeSchema } from '../shapes.ts';

const cacheSchema = z
  .object({
    branch: z.string(),
    platform: z.enum(architectures),
    ref: z.string().openapi({ description: 'Where it is in the instance’s registry: namespace/repository:tag.' }),
    sizeBytes: z.int(),
    lastUsedAt: timeSchema,
    steps: z.int().openapi({ description: 'Steps of the branch’s builds so far.' }),
    cachedSteps: z.int().openapi({ description: 'Those that were taken from a cache.' }),
    hitRate: z.number().nullable().openapi({ description: 'cachedSteps / steps; null before the first step.' }),
  })
  .openapi('BuildCache');

const example = {
  branch: 'main',
  platform: 'linux/amd64',
  ref: 'slipway-cache/crr-8f2k1m9q0w3e5r7t:d5dc24c08d1e0dfe-linux-amd64',
  sizeBytes: 148_213_004,
  lastUsedAt: '2026-11-21T12:03:00.000Z',
  steps: 120,
  cachedSteps: 104,
  hitRate: 0.867,
};
const resource = 'repository/{instance}/{namespace}/{repository}';
const cacheFilter = z.object({
  branch: z.string().min(1).max(255).optional(),
  platform: z.enum(architectures).optional(),
});

const list = route(
  { action: 'cr:ListRepositoryBuildCache', resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/repositories/{id}/build-cache',
    summary: 'List the remote caches of a repository’s builds: size, last use, hit rate',
    request: { params: idParam, query: pageQuery.extend(cacheFilter.shape) },
    responses: { 200: json(pageOf(cacheSchema), 'Caches, by branch and platform.') },
  },
);
const clean = route(
  { action: 'cr:DeleteRepositoryBuildCache', resource, example: null },
  {
    method: 'delete',
    path: '/repositories/{id}/build-cache',
    summary: 'Delete remote caches: of one branch, of one platform, or all; the next build there starts cold',
    request: { params: idParam, query: cacheFilter },
    responses: { 204: noContent },
  },
);

/** Remote caches of builds (docs/product.md, section 7, "Caches"). */
export function buildCacheRoutes(deps: Pick<ApiDeps, 'db' | 'cursors' | 'registries'>) {
  const { db, cursors } = deps;
  return newRoutes('build_cache')
    .openapi(list, async (c) => {
      const { id } = await getRepository(db, c.req.valid('param').id);
      const { branch, platform, ...query } = c.req.valid('query');
      const filters = ['build-cache', id, branch, platform];
      const rows = await listBuildCaches(db, { repositoryId: id, branch, platform }, cursors.read(query, filters));
      const cursorOf = (cache: BuildCacheRow) => cursors.write({ key: cache.branch, id: cache.platform }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiBuildCache, cursorOf }), 200);
    })
    .openapi(clean, async (c) => {
      const { id, instance_id: instance } = await getRepository(db, c.req.valid('param').id);
      const { branch, platform } = c.req.valid('query');
      await cleanBuildCaches(deps, { instance, filter: { repositoryId: id, branch, platform } });
      return c.body(null, 204);
    });
}

function toApiBuildCache(cache: BuildCacheRow): z.infer<typeof cacheSchema> {
  const steps = cache.hits + cache.misses;
  return {
    branch: cache.branch,
    platform: cache.platform,
    ref: cache.ref,
    sizeBytes: cache.size_bytes,
    lastUsedAt: timeOf(cache.last_used_at),
    steps,
    cachedSteps: cache.hits,
    hitRate: steps === 0 ? null : Math.round((cache.hits / steps) * 1_000) / 1_000,
  };
}
