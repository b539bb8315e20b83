import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import { removeRuns } from '../../activities/held-image.ts';
import { startArchitecture } from '../../db/repositories/build-progress.ts';
import { moveTagPointer } from '../../db/repositories/push.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { registryClient, scriptedRegistry } from '../support/registry-client.ts';
import type { ScriptedRegistry } from '../support/scripted-registry.ts';
import { seedBuild } from '../support/seed-build.ts';
import { seedRepository } from '../support/seed.ts';

const now = new Date('2026-11-21T03:00:00Z');
const daysAgo = (days: number) => new Date(now.getTime() - days * 24 * 3_600_000);

let world: TestDatabase;
beforeAll(async () => {
  world = await createTestDatabase();
});
afterAll(() => world.close());

/** Removes Records of more than a year. */
function removedBy(registry: ScriptedRegistry) {
  const client = registryClient(registry.url);
  const registries = { client: async () => client };
  return removeRuns({ db: world.db, registries }, { before: daysAgo(365), limit: 2 }, AbortSignal.timeout(20_000));
}

const hasRun = async (id: string) =>
  (await world.db.selectFrom('run').select('id').where('id', '=', id).executeTakeFirst()) !== undefined;

/** A build that ended with these images at the registry: an index over one architecture, under `tag` if one is given. */
async function newImage(
  registry: ScriptedRegistry,
  { repositoryId, mark, days, tag }: { repositoryId: string; mark: string; days: number; tag?: string },
) {
  const { db } = world;
  const { buildId, runId, repository } = await seedBuild(db, { repositoryId, commit: randomUUID().padEnd(40, '0') });
  const path = `${repository.namespace}/${repository.name}`;
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const part = registry.addManifest(path, { schemaVersion: 2, mediaType, config: { mark }, layers: [] });
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [part] };
  const { digest } = registry.addManifest(path, index, ...(tag === undefined ? [] : [tag]));
  const ended = { ended_at: daysAgo(days) };
  await startArchitecture(db, { buildId, platform: 'linux/amd64', at: daysAgo(days) });
  await db.updateTable('build_architecture').set({ digest: part.digest }).where('build_id', '=', buildId).execute();
  await db
    .updateTable('build')
    .set({ digest, status: 'success', ...ended })
    .where('id', '=', buildId)
    .execute();
  await db
    .updateTable('run')
    .set({ status: 'complete', result: 'denied', ...ended })
    .where('id', '=', runId)
    .execute();
  const stands = () => [digest, part.digest].map((each) => registry.repository(path).manifests.has(each));
  return { runId, digest, stands };
}

async function newRepositoryId(): Promise<string> {
  return (await seedRepository(world.db, createSecretBox({ keys: [randomBytes(32)] }))).id;
}

test('an image that was held by digest goes with its Record; one with a tag, or that a younger Record names, stays', async () => {
  const registry = await scriptedRegistry();
  const repositoryId = await newRepositoryId();
  const denied = await newImage(registry, { repositoryId, mark: 'denied', days: 366 });
  const tagged = await newImage(registry, { repositoryId, mark: 'tagged', days: 366, tag: 'v1' });
  const rebuilt = await newImage(registry, { repositoryId, mark: 'rebuilt', days: 366 });
  const younger = await newImage(registry, { repositoryId, mark: 'rebuilt', days: 2 });
  expect(younger.digest).toBe(rebuilt.digest);
  expect(await removedBy(registry)).toEqual({ runs: 3, heldRuns: 0 });
  expect(denied.stands()).toEqual([false, false]);
  expect(tagged.stands()).toEqual([true, true]);
  expect(younger.stands()).toEqual([true, true]);
  expect(await Promise.all([denied, tagged, rebuilt, younger].map(({ runId }) => hasRun(runId)))).toEqual([
    ...[false, false, false],
    true,
  ]);
});

test('an image that had a tag once stays when the tag has moved on: somebody may run it by its digest', async () => {
  const registry = await scriptedRegistry();
  const repositoryId = await newRepositoryId();
  const released = await newImage(registry, { repositoryId, mark: 'released', days: 366 });
  const move = { runId: released.runId, repositoryId, tag: 'v1', orderNo: 1, digest: released.digest };
  await moveTagPointer(world.db, { ...move, digestBefore: null, at: daysAgo(366) });
  expect(await removedBy(registry)).toEqual({ runs: 1, heldRuns: 0 });
  expect(released.stands()).toEqual([true, true]);
});

test('a registry that is away keeps the Records of its own held images, and no others', async () => {
  const registry = await scriptedRegistry();
  const repositoryId = await newRepositoryId();
  const held = await newImage(registry, { repositoryId, mark: 'held', days: 366 });
  const { runId: other } = await seedBuild(world.db);
  await world.db
    .updateTable('run')
    .set({ status: 'complete', ended_at: daysAgo(366) })
    .where('id', '=', other)
    .execute();
  registry.rules.push({ when: /^DELETE/, answer: (response) => void response.writeHead(500).end() });
  expect(await removedBy(registry)).toEqual({ runs: 1, heldRuns: 1 });
  expect([await hasRun(held.runId), await hasRun(other)]).toEqual([true, false]);
  registry.rules.length = 0;
  expect(await removedBy(registry)).toEqual({ runs: 1, heldRuns: 0 });
  expect([await hasRun(held.runId), ...held.stands()]).toEqual([false, false, false]);
});
