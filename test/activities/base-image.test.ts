import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { noteAutomaticStart } from '../../db/repositories/build-rule.ts';
import { insertAutomaticRun } from '../../db/repositories/automatic-run.ts';
import { defaultTimings } from '../../domain/chain.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { baseImagePath as path, baseImageTitle as name, newBaseImageWorld } from '../support/base-image-world.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { seedBuildRule } from '../support/seed.ts';

let world: TestDatabase;
beforeAll(async () => {
  world = await createTestDatabase();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.db.deleteFrom('build_rule').execute();
  await world.db.deleteFrom('namespace').where('name', '=', 'slipway-base').execute();
});

const newWorld = (options?: { onBaseImageUpdate?: boolean }) => newBaseImageWorld(world.db, options);
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

  test('that could not be built anew when it was last tried comes after those that were not tried yet', async () => {
    const here = await newWorld();
    const again = await seedBuildRule(world.db, here.repository.id, {
      ref: { type: 'branch', name: 'main' },
      imageTags: [{ template: 'other' }],
      onBaseImageUpdate: true,
    });
    const first = here.publish('first');
    await here.built(first);
    await here.built(first, { ruleId: again });
    here.publish('second');
    const due = async () => (await here.read()).stale.map(({ ruleId }) => ruleId);
    const both = await due();
    expect(both.toSorted()).toEqual([here.ruleId, again].toSorted());
    const reason = { code: 'source.not_reachable', params: {}, text: 'The host is away.' };
    await noteAutomaticStart(world.db, both[0] ?? '', {
      ...{ cause: 'base_image', ref: 'main', outcome: 'not_started', run: null, reason },
      at: '2026-11-21T04:00:00.000Z',
    });
    expect(await due()).toEqual(both.toReversed());
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
