import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBaseImageActivities } from '../../activities/base-image.ts';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import { newId } from '../../db/new-id.ts';
import { insertAutomaticRun } from '../../db/repositories/automatic-run.ts';
import { defaultTimings } from '../../domain/chain.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { runActivity } from '../support/run-activity.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

const secretBox = createSecretBox({ keys: [randomBytes(32)] });
const path = 'slipway-base/library/debian';
const name = 'docker.io/library/debian:bookworm-slim';

let world: TestDatabase;
beforeAll(async () => {
  world = await createTestDatabase();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.db.deleteFrom('build_rule').execute();
  await world.db.deleteFrom('namespace').where('name', '=', 'slipway-base').execute();
});

/** An instance whose namespace of base images holds Debian, and a repository there with a rule that asks for changes. */
async function newWorld({ onBaseImageUpdate = true }: { onBaseImageUpdate?: boolean } = {}) {
  const { db } = world;
  const repository = await seedRepository(db, secretBox);
  const namespaceId = newId('crn');
  const kept = {
    auto_create_repository: true,
    default_repository_type: 'public',
    default_tag_immutability: false,
  } as const;
  const namespace = { id: namespaceId, instance_id: repository.instanceId, name: 'slipway-base', ...kept };
  await db.insertInto('namespace').values(namespace).execute();
  await db
    .insertInto('repository')
    .values({
      ...{
        id: newId('crr'),
        namespace_id: namespaceId,
        name: 'library/debian',
        type: 'public',
        tag_immutability: false,
      },
      ...{ summary: '', description: '', is_auto_build: false, is_no_cache: false },
    })
    .execute();
  const ruleId = await seedBuildRule(db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }],
    onBaseImageUpdate,
  });
  const registry = await scriptedRegistry();
  const client = registryClient(registry.url);
  const outside: string[] = [];
  let now = new Date('2026-11-21T03:00:00Z').getTime();
  const { readBaseImages } = createBaseImageActivities({
    db,
    registries: { client: async () => client },
    outsideRegistry: (url) => {
      outside.push(url);
      return client;
    },
    clock: () => new Date((now += 60_000)),
  });
  return {
    repository,
    ruleId,
    registry,
    /** Addresses of the registries asked outside. */
    outside,
    /** Puts an image for amd64 and arm64 there, with an attestation beside. */
    publish(mark: string) {
      const platforms = ['amd64', 'arm64'].map((architecture) => {
        const config = registry.addBlob(path, Buffer.from(JSON.stringify({ architecture, os: 'linux', mark })));
        const image = registry.addManifest(path, {
          ...{ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', layers: [] },
          config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        });
        return { ...image, platform: { os: 'linux', architecture } };
      });
      const [first] = platforms;
      const attestation = {
        ...first,
        platform: { os: 'unknown', architecture: 'unknown' },
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      };
      const index = {
        ...{ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json' },
        manifests: [...platforms, attestation],
        annotations: {
          'org.opencontainers.image.created': '2026-11-20T20:12:44Z',
          'org.opencontainers.image.description': 'Debian made by mmdebstrap',
        },
      };
      return registry.addManifest(path, index, 'bookworm-slim').digest;
    },
    read: () => runActivity(readBaseImages, undefined),
    /** A successful build of the rule that was made from the image. */
    async built(digest: string, { from = name, at = new Date('2026-11-21T02:00:00Z') } = {}) {
      const started = await insertAutomaticRun(db, {
        ...{ repositoryId: repository.id, ruleId, ref: 'main', commit: 'a'.repeat(40), cause: 'schedule' },
        ...{ since: at, timings: defaultTimings, queueLimit: 10, at },
      });
      const runId = 'runId' in started ? started.runId : '';
      await end(runId, 'success');
      const { id } = await db.selectFrom('build').select('id').where('run_id', '=', runId).executeTakeFirstOrThrow();
      await db.insertInto('build_base_image').values({ build_id: id, name: from, digest }).execute();
    },
    end,
  };
  async function end(runId: string, result: 'success' | 'failed') {
    await db
      .updateTable('run')
      .set({ status: 'complete', result, ended_at: new Date() })
      .where('id', '=', runId)
      .execute();
    await db.updateTable('build').set({ status: result, ended_at: new Date() }).where('run_id', '=', runId).execute();
  }
}

const rowsOf = ({ repository }: Awaited<ReturnType<typeof newWorld>>) =>
  world.db.selectFrom('base_image').selectAll().where('instance_id', '=', repository.instanceId).execute();

describe('reading hosted base images', () => {
  test('keeps name, digest, architectures, age and origin of each', async () => {
    const here = await newWorld();
    const digest = here.publish('first');
    expect(await here.read()).toEqual({ images: 1, failed: 0, stale: [] });
    expect(await rowsOf(here)).toMatchObject([
      {
        ...{ repository: 'library/debian', tag: 'bookworm-slim', name, digest },
        platforms: [
          { platform: 'linux/amd64', digest: expect.stringMatching(/^sha256:/) },
          { platform: 'linux/arm64', digest: expect.stringMatching(/^sha256:/) },
        ],
        source: 'Debian made by mmdebstrap',
        made_at: new Date('2026-11-20T20:12:44Z'),
      },
    ]);
  });

  test('keeps the time of a change until the next one, and forgets what is deleted', async () => {
    const here = await newWorld();
    here.publish('first');
    await here.read();
    const [first] = await rowsOf(here);
    await here.read();
    expect((await rowsOf(here))[0]?.updated_at).toEqual(first?.updated_at);
    here.publish('second');
    await here.read();
    expect((await rowsOf(here))[0]?.updated_at.getTime()).toBeGreaterThan(first?.updated_at.getTime() ?? 0);
    here.registry.repository(path).tags.clear();
    await here.read();
    expect(await rowsOf(here)).toEqual([]);
  });

  test('tells the platform of an image without an index from its configuration', async () => {
    const here = await newWorld();
    const config = here.registry.addBlob(path, Buffer.from('{"architecture":"arm","variant":"v7","os":"linux"}'));
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    here.registry.addManifest(
      path,
      {
        schemaVersion: 2,
        mediaType,
        layers: [],
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      },
      'one',
    );
    await here.read();
    expect((await rowsOf(here))[0]?.platforms).toMatchObject([{ platform: 'linux/arm/v7' }]);
  });

  test('keeps what is known when a registry does not answer', async () => {
    const here = await newWorld();
    here.publish('first');
    await here.read();
    here.registry.rules.push({ when: /./, answer: (response) => void response.writeHead(403).end() });
    await expect(here.read()).rejects.toBeInstanceOf(RegistryError);
    expect(await rowsOf(here)).toHaveLength(1);
  });
});

describe('a base image that changed', () => {
  test('makes the last successful build of a rule that asks for it due, until it was started', async () => {
    const here = await newWorld();
    await here.built(here.publish('first'));
    expect((await here.read()).stale).toEqual([]);
    here.publish('second');
    const { stale } = await here.read();
    expect(stale).toEqual([{ ruleId: here.ruleId, ref: 'main', image: name, sinceMs: expect.any(Number) }]);
    expect((await here.read()).stale).toEqual(stale);

    const since = new Date(stale[0]?.sinceMs ?? 0);
    const started = await insertAutomaticRun(world.db, {
      ...{ repositoryId: here.repository.id, ruleId: here.ruleId, ref: 'main', commit: 'a'.repeat(40) },
      ...{ cause: 'base_image', since, timings: defaultTimings, queueLimit: 10, at: new Date(since.getTime() + 1) },
    });
    expect((await here.read()).stale).toEqual([]);
    await here.end('runId' in started ? started.runId : '', 'failed');
    expect((await here.read()).stale).toEqual([]);
    here.publish('third');
    expect((await here.read()).stale).toMatchObject([{ ruleId: here.ruleId }]);
  });

  test('leaves alone rules that do not ask for it, disabled ones, and builds that used another image', async () => {
    const here = await newWorld({ onBaseImageUpdate: false });
    await here.built(here.publish('first'));
    here.publish('second');
    expect((await here.read()).stale).toEqual([]);
    const disabled = await newWorld();
    await disabled.built(disabled.publish('first'));
    await world.db.updateTable('build_rule').set({ enabled: false }).where('id', '=', disabled.ruleId).execute();
    disabled.publish('second');
    expect((await disabled.read()).stale).toEqual([]);
  });

  test('waits for a push of the same rule that is on its way', async () => {
    const here = await newWorld();
    await here.built(here.publish('first'));
    here.publish('second');
    const [stale] = (await here.read()).stale;
    const at = new Date((stale?.sinceMs ?? 0) + 1);
    const push = await insertAutomaticRun(world.db, {
      ...{
        repositoryId: here.repository.id,
        ruleId: here.ruleId,
        ref: 'main',
        commit: 'b'.repeat(40),
      },
      ...{ cause: 'schedule', since: at, timings: defaultTimings, queueLimit: 10, at },
    });
    expect(push.kind).toBe('started');
    expect((await here.read()).stale).toEqual([]);
  });
});

describe('an image from elsewhere that changed', () => {
  const addTo = (here: Awaited<ReturnType<typeof newWorld>>, repository: string, mark: string) => {
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    return here.registry.addManifest(
      repository,
      { schemaVersion: 2, mediaType, manifests: [], annotations: { mark } },
      '2',
    ).digest;
  };

  test('is asked for where it stands, and makes what was built from it due', async () => {
    const here = await newWorld();
    await here.built(addTo(here, 'library/node', 'first'), { from: 'docker.io/library/node:2' });
    expect((await here.read()).stale).toEqual([]);
    addTo(here, 'library/node', 'second');
    const image = 'docker.io/library/node:2';
    expect((await here.read()).stale).toEqual([
      { ruleId: here.ruleId, ref: 'main', image, sinceMs: expect.any(Number) },
    ]);
    expect(here.outside).toEqual(['https://registry-1.docker.io', 'https://registry-1.docker.io']);
  });

  test('is asked for with a login of ours where an instance of ours has it', async () => {
    const here = await newWorld();
    await world.db
      .updateTable('instance')
      .set({ registry_url: 'https://registry.example.com' })
      .where('id', '=', here.repository.instanceId)
      .execute();
    await here.built(addTo(here, 'shop/runtime', 'first'), { from: 'registry.example.com/shop/runtime:2' });
    addTo(here, 'shop/runtime', 'second');
    expect((await here.read()).stale).toMatchObject([{ image: 'registry.example.com/shop/runtime:2' }]);
    expect(here.outside).toEqual([]);
  });

  test('that cannot be asked for leaves what is known, and is counted', async () => {
    const here = await newWorld();
    here.registry.rules.push({ when: /private/, answer: (response) => void response.writeHead(401).end() });
    await here.built(`sha256:${'a'.repeat(64)}`, { from: 'ghcr.io/acme/private:2' });
    expect(await here.read()).toMatchObject({ failed: 1, stale: [] });
  });
});
