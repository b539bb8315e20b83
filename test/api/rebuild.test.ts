import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { finishArchitecture, noteArchitectureFailure } from '../../db/repositories/build-progress.ts';
import type { Architecture } from '../../domain/build.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const platforms: readonly Architecture[] = ['linux/amd64', 'linux/arm64'];

/** An ended build of two architectures in front of a registry that holds the image of amd64; `built` have one. */
async function endedBuild(built: readonly Architecture[]) {
  const { db, secretBox } = world.deps;
  const repository = await seedRepository(db, secretBox);
  await seedBuildRule(db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }, { commitIdLength: 6 }],
    architectures: platforms,
  });
  const registry = await scriptedRegistry();
  const path = `${repository.namespace}/app`;
  const config = registry.addBlob(path, Buffer.from('{}'));
  const { digest, size } = registry.addManifest(path, { schemaVersion: 2, mediaType, config, layers: [] });
  const client = registryClient(registry.url);
  vi.mocked(world.deps.registries.client).mockResolvedValue(client);

  await world.push(repository, { after: 'a'.repeat(40) });
  const [run] = await world.runsOf(repository);
  const buildId = run?.build_id ?? '';
  const at = world.clock();
  for (const platform of platforms) {
    const reason = { code: 'build.step_failed', params: {}, text: 'A step failed.', fault: 'user' as const };
    const image = { platform, digest, mediaType, sizeBytes: size };
    if (built.includes(platform)) await finishArchitecture(db, { buildId, image, cachedSteps: 0, at });
    else await noteArchitectureFailure(db, { buildId, platform, reason, endedAt: at });
  }
  await world.endRuns(repository, built.length === platforms.length ? 'success' : 'failed');
  await db
    .updateTable('run')
    .set({ ended_at: at })
    .where('id', '=', run?.id ?? '')
    .execute();
  const rebuild = (body: unknown) => world.call('POST', `/v1/builds/${buildId}/rebuild`, { body });
  return { repository, run, registry, path, digest, size, rebuild };
}

describe('rebuilding the failed architectures', () => {
  it('builds those alone, and takes the others over by their digests, under the same tags', async () => {
    const { repository, run, digest, size, rebuild } = await endedBuild(['linux/amd64']);
    const answer = await rebuild({ architectures: 'failed' });
    expect(answer).toMatchObject({
      status: 202,
      body: {
        cause: 'rebuild',
        status: 'pending',
        partial: false,
        architectures: [
          { platform: 'linux/amd64', status: 'success', digest, reused: true },
          { platform: 'linux/arm64', status: 'pending', digest: null, reused: false },
        ],
      },
    });
    const [, second] = await world.runsOf(repository);
    expect(second?.tags).toEqual(run?.tags);
    const reuse = [{ platform: 'linux/amd64', digest, mediaType, sizeBytes: size }];
    expect(second?.input.origin).toMatchObject({ reuse, source: { commit: 'a'.repeat(40) } });
    const children = await world.deps.db
      .selectFrom('run_step_child')
      .select(['key', 'state', 'result'])
      .where('run_id', '=', second?.id ?? '')
      .execute();
    expect(children).toEqual([
      { key: 'linux/amd64', state: 'success', result: { digest, sizeBytes: size, isReused: true } },
    ]);
  });

  it('is refused when every architecture has its image; all of them may be built again', async () => {
    const { rebuild, repository } = await endedBuild(platforms);
    expect(await rebuild({ architectures: 'failed' })).toMatchObject({
      status: 409,
      body: { code: 'build.nothing_failed' },
    });
    expect((await rebuild({})).status).toBe(202);
    const [, second] = await world.runsOf(repository);
    expect(second?.input.origin).toMatchObject({ reuse: [] });
  });

  it('is refused when the registry no longer has an image that would be taken over', async () => {
    const { rebuild, registry, path, digest, repository } = await endedBuild(['linux/amd64']);
    registry.repository(path).manifests.delete(digest);
    expect(await rebuild({ architectures: 'failed' })).toMatchObject({
      status: 409,
      body: { code: 'build.image_gone', platform: 'linux/amd64', digest },
    });
    expect(await world.runsOf(repository)).toHaveLength(1);
  });

  it('starts nothing while the registry does not answer', async () => {
    const { rebuild, repository } = await endedBuild(['linux/amd64']);
    vi.mocked(world.deps.registries.client).mockRejectedValue(new Error('connection refused'));
    expect(await rebuild({ architectures: 'failed' })).toMatchObject({
      status: 503,
      body: { code: 'registry.not_reachable' },
    });
    expect(await world.runsOf(repository)).toHaveLength(1);
  });

  it('of a build without a single image builds all of them', async () => {
    const { rebuild } = await endedBuild([]);
    expect((await rebuild({ architectures: 'failed' })).body).toMatchObject({
      architectures: [{ status: 'pending' }, { status: 'pending' }],
    });
  });

  it('takes no other word for which architectures', async () => {
    const { rebuild } = await endedBuild([]);
    expect((await rebuild({ architectures: 'linux/arm64' })).status).toBe(422);
  });
});
