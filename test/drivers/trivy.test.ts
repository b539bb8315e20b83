import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { runProcess } from '../../activities/drivers/process.ts';
import { createTrivy, TrivyFailed, type ImageScanInput, type TrivyOptions } from '../../activities/drivers/trivy.ts';
import { TrivyDatabaseInvalid } from '../../activities/drivers/trivy-database.ts';
import { TrivyReportInvalid } from '../../activities/drivers/trivy-report.ts';

const folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-trivy-'));
  folders.push(folder);
  return folder;
}

const metadata = { Version: 2, UpdatedAt: '2026-11-21T10:00:00Z', NextUpdate: '2026-11-22T10:00:00Z' };

/** A cache folder with a database; `sample` is the marker file's text. */
async function newCache({ sample }: { sample?: string } = {}): Promise<string> {
  const folder = await newFolder();
  await mkdir(join(folder, 'db'));
  await writeFile(join(folder, 'db/metadata.json'), JSON.stringify(metadata));
  await writeFile(join(folder, 'db/trivy.db'), 'data');
  if (sample !== undefined) await writeFile(join(folder, 'db/sample'), sample);
  return folder;
}

function program(name: string): string {
  return join(import.meta.dirname, '../fixtures/bin', name);
}

async function newTrivy(name: string, options: Partial<TrivyOptions> = {}) {
  const workDir = await newFolder();
  const cacheDir = options.cacheDir ?? (await newCache());
  const trivy = createTrivy({
    trivy: program(name),
    cacheDir,
    workDir,
    runProcess: (input) => runProcess({ ...input, graceMs: 100 }),
    clock: () => new Date('2026-11-21T12:00:00Z'),
    killAfterMs: 100,
    ...options,
  });
  return { trivy, workDir, cacheDir };
}

const never = new AbortController().signal;
const digest = 'sha256:00232363b59e921dfecfe1aa1908560e883ea1d123b68b2857657aa40a2309ed';

function scanInput(input: Partial<ImageScanInput> = {}): ImageScanInput {
  return {
    repository: 'team/app',
    digest,
    platform: 'linux/arm64',
    login: { host: 'registry.example:5000', username: 'slipway', password: 'pull-only-token', isInsecure: false },
    timeoutMs: 30_000,
    signal: never,
    ...input,
  };
}

test.each([
  ['trivy-exit-1', TrivyFailed, 'Trivy ended with 1: run error: image scan error: context deadline exceeded'],
  ['trivy-exit-2', TrivyFailed, 'Trivy ended with 2: unexpected fault address 0x7f'],
  ['trivy-exit-137', TrivyFailed, 'Trivy ended with SIGKILL'],
  ['trivy-garbage', TrivyReportInvalid, "The scanner's report cannot be used: it is not JSON."],
  ['trivy-silent', TrivyReportInvalid, "The scanner's report cannot be used: the scanner ended well and wrote none."],
  ['trivy-200-mb', TrivyReportInvalid, "The scanner's report cannot be used: it is larger than 64 MiB."],
  ['no-such-program', TrivyFailed, 'Trivy ended with ENOENT'],
])('%s is an error, never an empty result, and leaves nothing behind', async (name, kind, message) => {
  const { trivy, workDir } = await newTrivy(name);
  const scan = trivy.imageScan(scanInput());
  await expect(scan).rejects.toThrow(kind);
  await expect(scan).rejects.toThrow(message);
  expect(await readdir(workDir)).toEqual([]);
});

test('a scanner that hangs is killed soon after its time, also when it does not listen', async () => {
  const { trivy, workDir } = await newTrivy('trivy-hang');
  await expect(trivy.imageScan(scanInput({ timeoutMs: 100 }))).rejects.toThrow(
    'Trivy ended with no answer within 0.2 s',
  );
  expect(await readdir(workDir)).toEqual([]);
});

test('a scanner that writes for ever is ended before the disk is full', async () => {
  const { trivy } = await newTrivy('trivy-endless', { maxReportBytes: 3 * 1024 * 1024 });
  await expect(trivy.imageScan(scanInput())).rejects.toThrow('it is larger than 3 MiB');
});

test('a cancellation ends the scanner and is told as what it is', async () => {
  const controller = new AbortController();
  const { trivy } = await newTrivy('trivy-hang');
  const scan = trivy.imageScan(scanInput({ signal: controller.signal }));
  setImmediate(() => controller.abort(new Error('the run was canceled')));
  await expect(scan).rejects.toThrow('the run was canceled');
});

async function newReplay(options: { sample?: string } = {}) {
  const cacheDir = await newCache(options);
  await cp(join(import.meta.dirname, '../fixtures/trivy/findings.json'), join(cacheDir, 'report.json'));
  return newTrivy('trivy-replay', { cacheDir });
}

test('a scan gives findings, the report as it is, an SBOM, and the data it was made with', async () => {
  const { trivy, cacheDir } = await newReplay();
  const scan = await trivy.imageScan(scanInput());
  expect(scan).toMatchObject({
    kind: 'scanned',
    engineVersion: '0.74.0',
    unscannable: null,
    facts: { os: 'debian 12.5', osPackages: 5 },
    database: {
      folder: cacheDir,
      version: 2,
      updatedAt: new Date('2026-11-21T10:00:00Z'),
      sha256: '3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7',
      isSampleData: false,
      covers: null,
    },
  });
  if (scan.kind !== 'scanned') throw new Error('not scanned');
  expect(scan.findings).toHaveLength(5);
  expect(Buffer.from(scan.report)).toEqual(await readFile(join(cacheDir, 'report.json')));
  expect(JSON.parse(Buffer.from(scan.sbom).toString())).toEqual({ bomFormat: 'CycloneDX' });
});

test('the scanner is called by digest, offline, with a login for one registry and nothing inherited', async () => {
  const { trivy, cacheDir } = await newReplay();
  process.env['SLIPWAY_CANARY'] = 'must not be inherited';
  await trivy.imageScan(scanInput({ login: { ...scanInput().login, isInsecure: true } }));
  delete process.env['SLIPWAY_CANARY'];

  const args = await readFile(join(cacheDir, 'arguments'), 'utf8');
  expect(args).toContain(`--insecure registry.example:5000/team/app@${digest}`);
  for (const flag of [
    ...['--image-src remote', '--platform linux/arm64', '--scanners vuln', '--format json', '--exit-code 0'],
    ...['--skip-db-update', '--skip-java-db-update', '--skip-check-update', '--offline-scan'],
    ...['--skip-version-check', '--disable-telemetry', '--cache-backend memory', '--timeout 30s'],
  ])
    expect(args).toContain(flag);
  expect(args).not.toContain('pull-only-token');

  const environment = await readFile(join(cacheDir, 'environment'), 'utf8');
  expect(environment).not.toMatch(/CANARY|pull-only-token/);
  expect(JSON.parse(await readFile(join(cacheDir, 'docker-config'), 'utf8'))).toEqual({
    auths: { 'registry.example:5000': { auth: Buffer.from('slipway:pull-only-token').toString('base64') } },
  });
});

test('a public image is scanned without a login', async () => {
  const { trivy, cacheDir } = await newReplay();
  await trivy.imageScan(scanInput({ login: { host: 'r.example', username: '', password: '', isInsecure: false } }));
  expect(JSON.parse(await readFile(join(cacheDir, 'docker-config'), 'utf8'))).toEqual({ auths: {} });
  expect(await readFile(join(cacheDir, 'arguments'), 'utf8')).not.toContain('--insecure');
});

test('sample data is named so, and answers only for the releases it knows', async () => {
  const known = await newReplay({ sample: 'debian 12\n' });
  expect(await known.trivy.imageScan(scanInput())).toMatchObject({
    unscannable: null,
    database: { isSampleData: true, covers: ['debian 12'] },
  });
  const other = await newReplay({ sample: 'debian 13\n' });
  expect(await other.trivy.imageScan(scanInput())).toMatchObject({ unscannable: 'data_missing' });
});

test('without a database nothing is examined, and that is what the answer says', async () => {
  const { trivy } = await newTrivy('trivy-replay', { cacheDir: await newFolder() });
  expect(await trivy.imageScan(scanInput())).toEqual({ kind: 'data_missing', engineVersion: '0.74.0' });
  expect(await trivy.databaseStatus({ signal: never })).toBeUndefined();
});

test.each([
  ['{', 'its metadata.json is not JSON'],
  ['{}', 'its metadata.json has another form'],
  [JSON.stringify({ ...metadata, Version: 1 }), 'it has version 1, Trivy reads 2'],
])('a database with the metadata %s is refused', async (text, problem) => {
  const { trivy, cacheDir } = await newReplay();
  await writeFile(join(cacheDir, 'db/metadata.json'), text);
  await expect(trivy.imageScan(scanInput())).rejects.toThrow(TrivyDatabaseInvalid);
  await expect(trivy.imageScan(scanInput())).rejects.toThrow(problem);
});
