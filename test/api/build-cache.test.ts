import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Architecture } from '../../domain/build.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const mediaType = 'application/vnd.oci.image.manifest.v1+json';

/** A repository with caches of `branches`, each for amd64 and arm64, in front of a registry that holds them. */
async function seedCaches(branches: readonly string[]) {
  const { db, secretBox } = world.deps;
  const { id } = await seedRepository(db, secretBox);
  const registry = await scriptedRegistry();
  const repository = `slipway-cache/${id}`;
  const platforms: readonly Architecture[] = ['linux/amd64', 'linux/arm64'];
  for (const branch of branches) {
    for (const platform of platforms) {
      const tag = `${branch}-${platform.replaceAll('/', '-')}`;
      // The same manifest under every tag, as of branches that share all their steps.
      registry.addManifest(repository, { schemaVersion: 2, mediaType }, tag);
      await db
        .insertInto('build_cache')
        .values({
          ...{ repository_id: id, branch, platform, ref: `${repository}:${tag}`, size_bytes: 2_000 },
          ...{ hits: 3, misses: 1, last_used_at: world.clock() },
        })
        .execute();
    }
  }
  vi.mocked(world.deps.registries.client).mockResolvedValue(registryClient(registry.url));
  const tags = () => [...registry.repository(repository).tags.keys()];
  const call = (method: 'GET' | 'DELETE', query = '') =>
    world.call(method, `/v1/repositories/${id}/build-cache${query}`);
  return { id, repository, tags, call };
}

describe('the remote caches of a repository', () => {
  it('are listed by branch and platform, with size, last use and hit rate', async () => {
    const { repository, call } = await seedCaches(['main', 'next']);
    const first = await call('GET', '?limit=3');
    expect(first).toMatchObject({ status: 200, body: { items: { length: 3 } } });
    expect(Object(first.body?.['items'])[0]).toEqual({
      branch: 'main',
      platform: 'linux/amd64',
      ref: `${repository}:main-linux-amd64`,
      sizeBytes: 2_000,
      lastUsedAt: '2026-11-21T12:00:00.000Z',
      steps: 4,
      cachedSteps: 3,
      hitRate: 0.75,
    });
    const rest = await call('GET', `?limit=3&cursor=${String(first.body?.['nextCursor'])}`);
    expect(rest.body).toMatchObject({ items: [{ branch: 'next', platform: 'linux/arm64' }], nextCursor: null });
    expect((await call('GET', '?branch=next&platform=linux/amd64')).body).toMatchObject({
      items: [{ branch: 'next', platform: 'linux/amd64' }],
    });
  });

  it('of one branch are deleted, in the registry too; those of other branches stay, even where they are the same', async () => {
    const { tags, call } = await seedCaches(['main', 'next']);
    expect((await call('DELETE', '?branch=next')).status).toBe(204);
    expect(tags()).toEqual(['main-linux-amd64', 'main-linux-arm64']);
    expect((await call('GET')).body).toMatchObject({ items: [{ branch: 'main' }, { branch: 'main' }] });
    expect((await call('DELETE')).status).toBe(204);
    expect(tags()).toEqual([]);
    expect((await call('DELETE')).status).toBe(204);
  });

  it('stay known while the registry does not delete them', async () => {
    const { call } = await seedCaches(['main']);
    vi.mocked(world.deps.registries.client).mockRejectedValue(new Error('connection refused'));
    expect(await call('DELETE')).toMatchObject({ status: 503, body: { code: 'registry.not_reachable' } });
    expect((await call('GET')).body).toMatchObject({ items: { length: 2 } });
  });

  it('of a repository nobody knows are 404, for a platform nobody builds 422, without a login 401', async () => {
    expect((await world.call('GET', '/v1/repositories/none/build-cache')).status).toBe(404);
    expect((await world.call('DELETE', '/v1/repositories/none/build-cache')).status).toBe(404);
    const { id, call } = await seedCaches([]);
    expect((await call('DELETE', '?platform=linux/mips')).status).toBe(422);
    const path = `/v1/repositories/${id}/build-cache`;
    expect((await world.call('GET', path, { isLoggedIn: false })).status).toBe(401);
  });
});
