import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PlatformImage } from '../../domain/build.ts';
import { startArchitecture } from '../../db/repositories/build-progress.ts';
import { recordChild } from '../../db/repositories/record.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { indexType, manifestType, newPushWorld, type PushWorld } from '../support/push-world.ts';
import { seedBuild } from '../support/seed-build.ts';
import { runActivity } from '../support/run-activity.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ maxConnections: 10 });
});
afterAll(() => database.close());

describe('assembling the index', () => {
  test('one architecture is its own manifest, and nothing is written', async () => {
    const world = await newPushWorld(database.db);
    const image = world.addImage('one');
    const { runId, buildId, repository } = world.build;
    const input = { runId, attempt: 1, buildId, repository, images: [image], failed: [] };
    expect(await runActivity(world.activities.assembleIndex, input)).toEqual({
      digest: image.digest,
      mediaType: manifestType,
    });
    expect(world.registry.seen(/^PUT/)).toEqual([]);
    const row = await database.db.selectFrom('build').selectAll().where('id', '=', buildId).executeTakeFirst();
    expect(row).toMatchObject({ digest: image.digest, stage: 'push' });
  });

  test('several architectures become one index by digest, the same bytes in whatever order they ended', async () => {
    const world = await newPushWorld(database.db);
    const images: PlatformImage[] = [
      { ...world.addImage('a'), platform: 'linux/arm/v7' },
      { ...world.addImage('b'), platform: 'linux/amd64' },
      { ...world.addImage('c'), platform: 'linux/arm64' },
    ];
    const { runId, buildId, repository } = world.build;
    const input = { runId, attempt: 1, buildId, repository, failed: [] };
    const { digest, mediaType } = await runActivity(world.activities.assembleIndex, { ...input, images });
    const again = await runActivity(world.activities.assembleIndex, { ...input, images: images.toReversed() });
    expect([mediaType, again.digest]).toEqual([indexType, digest]);
    const stored = JSON.parse(String(world.registry.repository(world.path).manifests.get(digest)?.bytes));
    expect(stored.manifests.map((each: { platform: unknown }) => each.platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm', os: 'linux', variant: 'v7' },
      { architecture: 'arm64', os: 'linux' },
    ]);
    expect(world.tags.size).toBe(0);
  });

  test('what is left of several is an index too, the build says that it is partial, and what failed is closed with its reason', async () => {
    const world = await newPushWorld(database.db);
    const image = world.addImage('a');
    const { runId, buildId, repository } = world.build;
    const reason = { code: 'build.timeout', params: { fault: 'user' }, text: 'The build did not end in time.' };
    await startArchitecture(database.db, { buildId, platform: 'linux/arm64', at: new Date() });
    await recordChild(database.db, {
      ...{ runId, attempt: 1, step: 'build', key: 'linux/arm64', state: 'running' },
      ...{ reason: null, result: null, at: new Date() },
    });
    const failed = [{ platform: 'linux/arm64', reason }];
    const input = { runId, attempt: 1, buildId, repository, images: [image], failed };
    const { digest, mediaType } = await runActivity(world.activities.assembleIndex, input);
    expect(mediaType).toBe(indexType);
    const { db } = database;
    const build = await db.selectFrom('build').selectAll().where('id', '=', buildId).executeTakeFirst();
    expect(build).toMatchObject({ digest, is_partial: true });
    const parts = await db.selectFrom('build_architecture').selectAll().where('build_id', '=', buildId).execute();
    expect(parts.find(({ platform }) => platform === 'linux/arm64')).toMatchObject({
      status: 'failed',
      ended_at: expect.any(Date),
      reason: { ...reason, fault: 'user' },
    });
    const child = await db.selectFrom('run_step_child').selectAll().where('run_id', '=', runId).executeTakeFirst();
    expect(child).toMatchObject({ key: 'linux/arm64', state: 'failed', reason });
  });
});

describe('looking up an image that exists', () => {
  test('an index gives its platforms, without attestations and what we do not know', async () => {
    const world = await newPushWorld(database.db);
    const [amd64, arm] = [world.addImage('amd64'), world.addImage('arm')];
    const descriptor = ({ digest, mediaType, sizeBytes }: PlatformImage, platform: object) => ({
      mediaType,
      digest,
      size: sizeBytes,
      platform,
    });
    const { digest } = world.registry.addManifest(
      world.path,
      {
        schemaVersion: 2,
        mediaType: indexType,
        manifests: [
          descriptor(amd64, { os: 'linux', architecture: 'amd64' }),
          descriptor(arm, { os: 'linux', architecture: 'arm' }),
          {
            ...descriptor(amd64, { os: 'unknown', architecture: 'unknown' }),
            annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
          },
          descriptor(amd64, { os: 'windows', architecture: 'amd64' }),
        ],
      },
      'v1',
    );
    expect(await runActivity(world.activities.resolveImage, { repository: world.build.repository, tag: 'v1' })).toEqual(
      {
        digest,
        mediaType: indexType,
        tags: ['v1'],
        platforms: [
          { platform: 'linux/amd64', digest: amd64.digest, mediaType: manifestType, sizeBytes: amd64.sizeBytes },
          { platform: 'linux/arm/v7', digest: arm.digest, mediaType: manifestType, sizeBytes: arm.sizeBytes },
          { platform: 'windows/amd64', digest: amd64.digest, mediaType: manifestType, sizeBytes: amd64.sizeBytes },
        ],
      },
    );
  });

  test('a single manifest gives the platform its config names', async () => {
    const world = await newPushWorld(database.db);
    const image = world.addImage('one', { os: 'linux', architecture: 'arm64', variant: 'v8' });
    world.tags.set('v1', image.digest);
    expect(
      await runActivity(world.activities.resolveImage, { repository: world.build.repository, tag: 'v1' }),
    ).toMatchObject({
      digest: image.digest,
      platforms: [{ platform: 'linux/arm64', digest: image.digest, sizeBytes: image.sizeBytes }],
    });
  });

  test('a tag that was deleted meanwhile ends the step with a sentence', async () => {
    const world = await newPushWorld(database.db);
    const input = { repository: world.build.repository, tag: 'v1' };
    await expect(runActivity(world.activities.resolveImage, input)).rejects.toMatchObject({
      type: 'push.image_missing',
      nonRetryable: true,
    });
  });

  test('an image for a platform Slipway never builds counts too: it must not pass the gate unseen', async () => {
    const world = await newPushWorld(database.db);
    const image = world.addImage('one', { os: 'plan9', architecture: 'mips' });
    world.tags.set('v1', image.digest);
    const images = await runActivity(world.activities.resolveImage, { repository: world.build.repository, tag: 'v1' });
    expect(images.platforms.map(({ platform }) => platform)).toEqual(['plan9/mips']);
  });
});

describe('deleting an image', () => {
  async function remove(
    { activities, build }: PushWorld,
    digest: string,
    tags: readonly string[],
    parts: readonly string[] = [],
  ) {
    const { runId, repository } = build;
    return runActivity(activities.deleteImage, { runId, attempt: 1, repository, digest, tags, parts });
  }

  test('an image under its own tags only is deleted with them, and their rows are forgotten', async () => {
    const world = await newPushWorld(database.db);
    const { digest } = world.addImage('one');
    await world.move(digest, { orderNo: 1 });
    expect(await remove(world, digest, ['v1'])).toEqual({ deletedTags: ['v1'], isDigestDeleted: true });
    expect(world.registry.repository(world.path).manifests.has(digest)).toBe(false);
    expect(await world.pointer('v1')).toBeUndefined();
  });

  test('an image another tag holds stays, and only the tags asked for go', async () => {
    const world = await newPushWorld(database.db);
    const { digest } = world.addImage('one');
    await world.move(digest, { orderNo: 1 });
    world.tags.set('v1_blocked_01234567', digest);
    expect(await remove(world, digest, ['v1'])).toEqual({ deletedTags: ['v1'], isDigestDeleted: false });
    expect(world.registry.repository(world.path).manifests.has(digest)).toBe(true);
    expect([...world.tags.keys()]).toEqual(['v1_blocked_01234567']);
  });

  test('a tag a newer run has moved on stays', async () => {
    const world = await newPushWorld(database.db);
    const [older, newer] = [world.addImage('older'), world.addImage('newer')];
    await world.move(older.digest, { orderNo: 1 });
    await world.move(newer.digest, { orderNo: 2 });
    expect(await remove(world, older.digest, ['v1'])).toEqual({ deletedTags: [], isDigestDeleted: true });
    expect(world.tags.get('v1')).toBe(newer.digest);
    expect(await world.pointer('v1')).toMatchObject({ digest: newer.digest });
  });

  /** An index over these images, of two architectures. */
  function addIndex({ registry, path }: PushWorld, images: readonly PlatformImage[], ...tags: string[]): string {
    const manifests = images.map(({ digest, mediaType, sizeBytes: size }) => ({ mediaType, digest, size }));
    return registry.addManifest(path, { schemaVersion: 2, mediaType: indexType, manifests }, ...tags).digest;
  }
  const stands = ({ registry, path }: PushWorld, digest: string) => registry.repository(path).manifests.has(digest);

  test('the architectures of an index go with it: nobody pulls them by digest', async () => {
    const world = await newPushWorld(database.db);
    const parts = [world.addImage('a'), world.addImage('b')];
    const digest = addIndex(world, parts);
    expect(await remove(world, digest, [])).toEqual({ deletedTags: [], isDigestDeleted: true });
    expect([digest, ...parts.map((part) => part.digest)].filter((each) => stands(world, each))).toEqual([]);
    // A registry may keep what an index names, so that goes first.
    expect(world.registry.seen(/^DELETE/)[0]).toContain(digest);
  });

  test('an architecture stays that another tag or image needs, or another Record', async () => {
    const world = await newPushWorld(database.db);
    const [own, shared, tagged, named] = ['own', 'shared', 'tagged', 'named'].map((mark) => world.addImage(mark));
    if (own === undefined || shared === undefined || tagged === undefined || named === undefined) throw new Error();
    const digest = addIndex(world, [own, shared, tagged, named]);
    addIndex(world, [shared], 'other');
    world.tags.set('alone', tagged.digest);
    const { buildId: other } = await seedBuild(database.db, {
      repositoryId: world.build.repository.id,
      commit: 'e'.repeat(40),
    });
    await startArchitecture(database.db, { buildId: other, platform: 'linux/amd64', at: new Date() });
    await database.db
      .updateTable('build_architecture')
      .set({ digest: named.digest })
      .where('build_id', '=', other)
      .execute();
    await remove(world, digest, []);
    expect([digest, own.digest].filter((each) => stands(world, each))).toEqual([]);
    expect([shared, tagged, named].map((part) => stands(world, part.digest))).toEqual([true, true, true]);
  });

  test('an image that is an architecture of another tag stays', async () => {
    const world = await newPushWorld(database.db);
    const image = world.addImage('one');
    addIndex(world, [image], 'other');
    expect(await remove(world, image.digest, [])).toEqual({ deletedTags: [], isDigestDeleted: false });
    expect(stands(world, image.digest)).toBe(true);
  });

  test('an attempt lost between the index and its architectures is made again', async () => {
    const world = await newPushWorld(database.db);
    const parts = [world.addImage('a'), world.addImage('b')];
    const digest = addIndex(world, parts);
    world.registry.repository(world.path).manifests.delete(digest);
    await remove(
      world,
      digest,
      [],
      parts.map((part) => part.digest),
    );
    expect([digest, ...parts.map((part) => part.digest)].filter((each) => stands(world, each))).toEqual([]);
  });

  test('what is gone already is fine', async () => {
    const world = await newPushWorld(database.db);
    const { digest } = world.addImage('one');
    await remove(world, digest, []);
    expect(await remove(world, digest, [])).toEqual({ deletedTags: [], isDigestDeleted: true });
  });
});
