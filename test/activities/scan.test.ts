import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { newActivityEnvironment, runActivity } from '../support/run-activity.ts';
import {
  bytes,
  finding,
  newScanWorld,
  now,
  openScan,
  runScan,
  scanInput,
  scanned,
  type ScanWorld,
} from '../support/scan-world.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

const scanRow = (id: string) =>
  database.db.selectFrom('scan').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const reportRows = (id: string) =>
  database.db.selectFrom('scan_report').selectAll().where('scan_id', '=', id).execute();
const findingRows = (id: string) =>
  database.db.selectFrom('finding').selectAll().where('scan_id', '=', id).orderBy('id').execute();
const childRows = ({ run }: ScanWorld) =>
  database.db
    .selectFrom('run_step_child')
    .select(['key', 'state', 'reason', 'result'])
    .where('run_id', '=', run.runId)
    .where('step', '=', 'scan')
    .execute();

test('a run and attempt have one scan, however often it is opened', async () => {
  const world = await newScanWorld(database.db);
  const scanId = await openScan(world);
  expect(await openScan(world)).toBe(scanId);
  expect(await scanRow(scanId)).toMatchObject({
    run_id: world.run.runId,
    repository_id: world.run.repository.id,
    digest: world.run.images.digest,
    status: 'scanning',
    verdict: null,
    created_at: now,
  });
});

test('a scan keeps report and SBOM with their hashes, every finding, and answers with a small summary', async () => {
  const world = await newScanWorld(database.db);
  const scanId = await openScan(world);
  const found = [finding('high', { cve: 'CVE-2024-0001' }), finding('low', { cve: 'CVE-2024-0002', fixed: null })];
  world.imageScan.mockResolvedValue(scanned({ findings: found }));

  const summary = await runActivity(world.activities.scanImage, scanInput(world, { cveList: ['CVE-2024-0002'] }));
  expect(summary).toEqual({
    platform: 'linux/amd64',
    digest: `sha256:${'b'.repeat(64)}`,
    unscannable: null,
    counts: { critical: 0, high: 1, medium: 0, low: 1, unknown: 0 },
    fixable: { critical: 0, high: 1, medium: 0, low: 0, unknown: 0 },
    listedCves: ['CVE-2024-0002'],
    worstPackages: ['openssl'],
    worstCves: ['CVE-2024-0001', 'CVE-2024-0002'],
    engine: { name: 'trivy', version: '0.74.0', dataUpdatedAt: '2026-11-21T10:00:00.000Z', isSampleData: true },
  });

  const stored = world.objectPut.mock.calls.map(([key, body, { contentType }]) => [key, body, contentType]);
  expect(stored).toEqual([
    [`reports/${scanId}/linux-amd64.json`, bytes('{"report":1}'), 'application/json'],
    [`reports/${scanId}/linux-amd64.cdx.json`, bytes('{"sbom":1}'), 'application/vnd.cyclonedx+json'],
  ]);
  expect(await reportRows(scanId)).toMatchObject([
    {
      platform: 'linux/amd64',
      unscannable: null,
      counts: summary.counts,
      fixable: summary.fixable,
      data_sha256: 'd'.repeat(64),
      is_sample_data: true,
      report_key: `reports/${scanId}/linux-amd64.json`,
      report_sha256: createHash('sha256').update('{"report":1}').digest('hex'),
      sbom_sha256: createHash('sha256').update('{"sbom":1}').digest('hex'),
    },
  ]);
  expect(await findingRows(scanId)).toMatchObject([
    {
      cve: 'CVE-2024-0001',
      severity: 'high',
      package: 'openssl',
      fixed_version: '2',
      engine: 'trivy',
      title: 'A flaw',
    },
    { cve: 'CVE-2024-0002', severity: 'low', fixed_version: null },
  ]);
  expect(await childRows(world)).toEqual([
    {
      key: 'linux/amd64',
      state: 'success',
      reason: null,
      result: { counts: summary.counts, fixable: summary.fixable, unscannable: null },
    },
  ]);
});

test('a scan made twice replaces its findings and leaves other architectures alone', async () => {
  const world = await newScanWorld(database.db);
  const scanId = await openScan(world);
  const input = scanInput(world);
  const arm = { ...input, image: world.run.images.platforms[1] ?? input.image };
  const armFinding = { ...finding('low', { cve: 'CVE-2024-0009' }), platform: 'linux/arm64' };
  world.imageScan
    .mockResolvedValueOnce(scanned({ findings: [armFinding] }))
    .mockResolvedValueOnce(
      scanned({ findings: Array.from({ length: 2_500 }, (_, index) => finding('low', { cve: `CVE-2024-${index}` })) }),
    )
    .mockResolvedValueOnce(scanned({ findings: [finding('high', { cve: 'CVE-2024-0001' })] }));
  await runActivity(world.activities.scanImage, arm);
  await runActivity(world.activities.scanImage, input);
  expect(await findingRows(scanId)).toHaveLength(2_501);
  await runActivity(world.activities.scanImage, input);
  expect((await findingRows(scanId)).map(({ platform, cve }) => [platform, cve])).toEqual([
    ['linux/arm64', 'CVE-2024-0009'],
    ['linux/amd64', 'CVE-2024-0001'],
  ]);
  expect(await reportRows(scanId)).toHaveLength(2);
});

test('the scanner gets a login that may only pull this repository, and ends soon after the scan', async () => {
  const world = await newScanWorld(database.db);
  world.imageScan.mockResolvedValue(scanned());
  await runActivity(world.activities.scanImage, scanInput(world, { timeoutSeconds: 60 }));
  const { instance, namespace } = world.run.repository;
  const path = `${namespace}/app`;
  expect(world.login).toHaveBeenCalledWith(instance, [{ repository: path, actions: ['pull'] }], 180);
  expect(world.imageScan.mock.calls[0]?.[0]).toMatchObject({
    repository: path,
    digest: `sha256:${'b'.repeat(64)}`,
    platform: 'linux/amd64',
    timeoutMs: 60_000,
  });
});

test('a failure of the engine is told to the workflow as one, and stands on the Record with its words', async () => {
  const world = await newScanWorld(database.db);
  const scanId = await openScan(world);
  world.imageScan.mockRejectedValue(new Error('Trivy ended with 1: context deadline exceeded'));
  const text = 'The scan engine could not examine linux/amd64: Trivy ended with 1: context deadline exceeded';
  await expect(runActivity(world.activities.scanImage, scanInput(world))).rejects.toMatchObject({
    type: 'scan.engine_failed',
    nonRetryable: true,
    message: text,
    details: [{ engine: 'trivy', platform: 'linux/amd64' }],
  });
  expect(await childRows(world)).toMatchObject([{ state: 'running', reason: { code: 'scan.engine_failed', text } }]);
  expect(await scanRow(scanId)).toMatchObject({ status: 'retrying', verdict: null });
  expect(await reportRows(scanId)).toEqual([]);
});

test('a store that fails is no failure of the engine: the error is thrown as it is, to be tried again', async () => {
  const world = await newScanWorld(database.db);
  const scanId = await openScan(world);
  world.imageScan.mockResolvedValue(scanned());
  const down = new Error('connect ECONNREFUSED 127.0.0.1:9000');
  world.objectPut.mockRejectedValue(down);
  await expect(runActivity(world.activities.scanImage, scanInput(world))).rejects.toBe(down);
  expect(await childRows(world)).toMatchObject([
    { state: 'running', reason: { text: 'Waiting to try again: connect ECONNREFUSED 127.0.0.1:9000' } },
  ]);
  expect(await reportRows(scanId)).toEqual([]);
});

test('without data the image is unscannable, and there is no report', async () => {
  const world = await newScanWorld(database.db);
  const scanId = await openScan(world);
  world.imageScan.mockResolvedValue({ kind: 'data_missing', engineVersion: '0.74.0' });
  expect(await runActivity(world.activities.scanImage, scanInput(world))).toMatchObject({
    unscannable: 'data_missing',
    engine: { version: '0.74.0', dataUpdatedAt: null },
  });
  expect(await reportRows(scanId)).toMatchObject([{ unscannable: 'data_missing', report_key: null, sbom_key: null }]);
  expect(world.objectPut).not.toHaveBeenCalled();
});

test.each([
  ['2026-11-18T12:00:00Z', null],
  ['2026-11-18T11:59:00Z', 'data_too_old'],
])('with 72 hours allowed, data of %s makes an image unscannable: %s', async (updatedAt, expected) => {
  const world = await newScanWorld(database.db);
  const fresh = scanned();
  world.imageScan.mockResolvedValue({ ...fresh, database: { ...fresh.database, updatedAt: new Date(updatedAt) } });
  expect(await runActivity(world.activities.scanImage, scanInput(world))).toMatchObject({
    unscannable: expected,
  });
});

test('a silent scan beats, hears the cancellation, and writes nothing after it', async () => {
  const world = await newScanWorld(database.db);
  const environment = newActivityEnvironment();
  world.imageScan.mockImplementation(
    ({ signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  const beat = new Promise((resolve) => environment.once('heartbeat', resolve));
  const scan = runActivity(world.activities.scanImage, scanInput(world), environment);
  await beat;
  environment.cancel('CANCELLED');
  await expect(scan).rejects.toMatchObject({ name: 'CancelledFailure' });
  expect(await childRows(world)).toMatchObject([{ state: 'running', reason: null }]);
});

test.each([
  ['passed', 'complete'],
  ['denied', 'complete'],
  ['error', 'failed'],
] as const)('a scan that ends with %s is %s, and the first end stands', async (verdict, status) => {
  const world = await newScanWorld(database.db);
  const scanId = await openScan(world);
  const reason = { code: 'scan.denied', params: {}, text: 'Blocked' };
  await runActivity(world.activities.closeScan, { ...runScan(world.run), verdict, reason });
  await runActivity(world.activities.closeScan, { ...runScan(world.run), verdict: 'passed', reason: null });
  expect(await scanRow(scanId)).toMatchObject({ status, verdict, reason, ended_at: now });
});

test('a denied image is kept byte for byte, under one tag of its own per tag of the run', async () => {
  const world = await newScanWorld(database.db);
  const { runId, images, repository } = world.run;
  const manifest = { mediaType: images.mediaType, digest: images.digest, bytes: bytes('{"schemaVersion":2}') };
  world.client.manifestGet.mockResolvedValue(manifest);
  const { tags } = await runActivity(world.activities.backUpImage, { runId, attempt: 1, repository, images });
  const suffix = runId.slice(-8);
  expect(tags).toEqual([`v1_blocked_${suffix}`, `latest_blocked_${suffix}`]);
  const path = `${repository.namespace}/app`;
  expect(world.client.manifestGet.mock.calls[0]?.slice(0, 2)).toEqual([path, images.digest]);
  expect(
    world.client.manifestPut.mock.calls.map(([, tag, { mediaType, bytes: put }]) => [tag, mediaType, put]),
  ).toEqual(tags.map((tag) => [tag, images.mediaType, manifest.bytes]));
});
