import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRetentionActivities } from '../../activities/retention.ts';
import { appendLogSegment } from '../../db/repositories/build-log.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { runActivity } from '../support/run-activity.ts';
import { seedBuild } from '../support/seed-build.ts';
import { seedRun } from '../support/seed-run.ts';

const now = new Date('2026-11-21T03:00:00Z');
const daysAgo = (days: number) => new Date(now.getTime() - days * 24 * 3_600_000);

let world: TestDatabase;
beforeAll(async () => {
  world = await createTestDatabase();
});
afterAll(() => world.close());

/** A store that notes what is deleted, and fails for one key where the test says so. */
function retention({
  failing,
  registryUrl = '',
  objects = {},
}: { failing?: string; registryUrl?: string; objects?: Readonly<Record<string, Date>> } = {}) {
  const deleted: string[] = [];
  const { removeExpired } = createRetentionActivities({
    db: world.db,
    objectStore: {
      objectDelete: async (key) => {
        if (key === failing) throw new Error('the store is away');
        deleted.push(key);
      },
      objectList: async function* (prefix) {
        for (const [key, modifiedAt] of Object.entries(objects)) if (key.startsWith(prefix)) yield { key, modifiedAt };
      },
    },
    registries: { client: async () => registryClient(registryUrl) },
    keptDays: { deliveries: 30, logs: 90, records: 365 },
    clock: () => now,
  });
  return { deleted, run: () => runActivity(removeExpired, { atMs: now.getTime() }) };
}

const nothing = {
  logSegments: 0,
  reports: 0,
  deliveries: 0,
  bodies: 0,
  runs: 0,
  heldRuns: 0,
  scans: 0,
  contexts: 0,
  commitStatuses: 0,
  buildCaches: 0,
};

/** A build with one piece of log; `endedAt` null: it goes on. */
async function newBuild(endedAt: Date | null) {
  const { db } = world;
  const { buildId, runId } = await seedBuild(db, { commit: randomUUID().replaceAll('-', '').padEnd(40, '0') });
  const key = `logs/build/${buildId}/1`;
  await appendLogSegment(db, {
    ...{ build_id: buildId, lines: 2, bytes: 10, sha256: 'x', object_key: key, platform: null, attempt: 1 },
    ...{ textBytes: 20, isCut: false, marks: [] },
  });
  if (endedAt !== null) {
    await db.updateTable('build').set({ status: 'success', ended_at: endedAt }).where('id', '=', buildId).execute();
    await db.updateTable('run').set({ status: 'complete', ended_at: endedAt }).where('id', '=', runId).execute();
  }
  return { buildId, runId, key };
}

/** A run with a scan whose report and list of parts stand as objects. */
async function newScan(endedAt: Date) {
  const { db } = world;
  const { runId, repository, images } = await seedRun(db);
  await db.updateTable('run').set({ status: 'complete', ended_at: endedAt }).where('id', '=', runId).execute();
  const scanId = randomUUID();
  await db
    .insertInto('scan')
    .values({
      ...{ id: scanId, run_id: runId, attempt: 1, repository_id: repository.id, digest: images.digest },
      ...{ engine: 'trivy', status: 'complete', verdict: 'passed', reason: JSON.stringify(null) },
      ...{ created_at: endedAt, ended_at: endedAt },
    })
    .execute();
  const counts = JSON.stringify({ critical: 0, high: 0, medium: 0, low: 0, unknown: 0 });
  await db
    .insertInto('scan_report')
    .values({
      ...{
        scan_id: scanId,
        platform: 'linux/amd64',
        digest: images.digest,
        unscannable: null,
        counts,
        fixable: counts,
      },
      ...{ engine_version: '1', data_updated_at: null, data_sha256: null, is_sample_data: false, ended_at: endedAt },
      ...{ report_key: `${scanId}.json`, report_sha256: 'x', sbom_key: `${scanId}.cdx.json`, sbom_sha256: 'x' },
    })
    .execute();
  return { runId, scanId, keys: [`${scanId}.json`, `${scanId}.cdx.json`] };
}

const hasRun = async (id: string) =>
  (await world.db.selectFrom('run').select('id').where('id', '=', id).executeTakeFirst()) !== undefined;

test('logs and reports go after 90 days, their Record after 365; what is younger or goes on stays', async () => {
  const live = await newBuild(null);
  const young = await newBuild(daysAgo(89));
  const old = await newBuild(daysAgo(91));
  const over = await newBuild(daysAgo(366));
  const scanned = await newScan(daysAgo(91));
  const first = retention();
  expect(await first.run()).toEqual({ ...nothing, logSegments: 2, reports: 1, runs: 1 });
  expect(first.deleted.toSorted()).toEqual([old.key, over.key, ...scanned.keys].toSorted());
  expect(await Promise.all([live, young, old, over, scanned].map(({ runId }) => hasRun(runId)))).toEqual([
    true,
    true,
    true,
    false,
    true,
  ]);
  const report = await world.db.selectFrom('scan_report').selectAll().where('scan_id', '=', scanned.scanId).execute();
  expect(report).toMatchObject([{ report_key: null, sbom_key: null, report_sha256: 'x' }]);
  expect(await retention().run()).toEqual(nothing);
});

test('a Record stays while the store does not let go of what it names, and goes once it does', async () => {
  const { key, runId } = await newBuild(daysAgo(400));
  await expect(retention({ failing: key }).run()).rejects.toThrow('the store is away');
  expect(await hasRun(runId)).toBe(true);
  expect(await retention().run()).toEqual({ ...nothing, logSegments: 1, runs: 1 });
});

test('ended deliveries go after 30 days with their attempts; one that waits for its next attempt stays', async () => {
  const { db } = world;
  const { runId, triggers } = await seedRun(db, {
    triggers: [{ name: 'deploy', url: 'https://example.com/deploy' }],
  });
  const ids = { ended: randomUUID(), waiting: randomUUID() };
  for (const [tag, id] of Object.entries(ids)) {
    const isEnded = tag === 'ended';
    await db
      .insertInto('delivery')
      .values({
        ...{ id, trigger_id: triggers[0] ?? '', run_id: runId, webhook_id: id, event: 'image.updated', tag },
        ...{ digest: null, body: '{}', status: isEnded ? 'delivered' : 'retrying', reason: JSON.stringify(null) },
        ...{ next_attempt_at: null, created_at: daysAgo(40), ended_at: isEnded ? daysAgo(31) : null },
      })
      .execute();
    await db
      .insertInto('delivery_attempt')
      .values({
        ...{ delivery_id: id, number: 1, state: 'ended', at: daysAgo(40), duration_ms: 1, status_code: 500 },
        ...{
          error_class: null,
          request_headers: '{}',
          request_body: '',
          response_headers: JSON.stringify(null),
          response_body: null,
        },
      })
      .execute();
  }
  expect(await retention().run()).toEqual({ ...nothing, deliveries: 1 });
  const left = await db.selectFrom('delivery_attempt').select('delivery_id').execute();
  expect(left.map((row) => row.delivery_id)).toEqual([ids.waiting]);
});

test('what was said of commits goes with the Records of that time', async () => {
  const { db } = world;
  const { repository } = await seedBuild(db);
  const said = (commit: string, days: number) => ({
    id: randomUUID(),
    repository_id: repository.id,
    commit,
    chain_key: '',
    changed_at: daysAgo(days),
  });
  await db
    .insertInto('commit_status')
    .values([said('a'.repeat(40), 366), said('b'.repeat(40), 364)])
    .execute();
  expect(await retention().run()).toEqual({ ...nothing, commitStatuses: 1 });
  const left = await db.selectFrom('commit_status').select('commit').execute();
  expect(left).toEqual([{ commit: 'b'.repeat(40) }]);
});

test('the body of a delivery that was set aside goes after 30 days, its id stays', async () => {
  const { db } = world;
  const { repository } = await seedBuild(db);
  const hook_id = randomUUID();
  const rows = [
    { delivery_id: 'old', state: 'handled' as const, handled_at: daysAgo(31) },
    { delivery_id: 'young', state: 'handled' as const, handled_at: daysAgo(29) },
    { delivery_id: 'pending', state: 'pending' as const, handled_at: null },
  ];
  await db
    .insertInto('inbox')
    .values(
      rows.map((row) => ({
        ...{ hook_id, repository_id: repository.id, host: 'git' as const, event: 'push', body: Buffer.from('x') },
        ...{ outcome: null, ...row },
      })),
    )
    .execute();
  expect(await retention().run()).toEqual({ ...nothing, bodies: 1 });
  const left = await db
    .selectFrom('inbox')
    .select(['delivery_id', 'body'])
    .where('hook_id', '=', hook_id)
    .orderBy('id')
    .execute();
  expect(left.map(({ delivery_id, body }) => [delivery_id, body === null])).toEqual([
    ['old', true],
    ['young', false],
    ['pending', false],
  ]);
});

test('a remote cache no build has used for 30 days goes, in the registry too; a younger one stays', async () => {
  const { db } = world;
  const { repository } = await seedBuild(db);
  const registry = await scriptedRegistry();
  const path = `slipway-cache/${repository.id}`;
  for (const [branch, days] of [
    ['gone', 31],
    ['main', 29],
  ] as const) {
    registry.addManifest(path, { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json' }, branch);
    await db
      .insertInto('build_cache')
      .values({
        ...{ repository_id: repository.id, branch, platform: 'linux/amd64', ref: `${path}:${branch}` },
        ...{ size_bytes: 1, hits: 0, misses: 0, last_used_at: daysAgo(days) },
      })
      .execute();
  }
  expect(await retention({ registryUrl: registry.url }).run()).toEqual({ ...nothing, buildCaches: 1 });
  expect([...registry.repository(path).tags.keys()]).toEqual(['main']);
  const left = await db.selectFrom('build_cache').select('branch').where('repository_id', '=', repository.id).execute();
  expect(left).toEqual([{ branch: 'main' }]);
});

test('a build context goes eight days after a run last needed it, longer than any run may take', async () => {
  const objects = { 'src/old': daysAgo(9), 'src/young': daysAgo(7), 'logs/build/1/1.zst': daysAgo(80) };
  const { deleted, run } = retention({ objects });
  expect(await run()).toEqual({ ...nothing, contexts: 1 });
  expect(deleted).toEqual(['src/old']);
});
