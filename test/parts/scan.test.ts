import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProcess } from '../../activities/drivers/process.ts';
import { createTrivy, type TrivyOptions } from '../../activities/drivers/trivy.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { startRegistry, type RegistryProcess } from '../support/registry-process.ts';
import { debianFiles, pushImage, pushTrivyDatabase, type ImageFiles } from '../support/scan-image.ts';

// The real Trivy, a real registry, and a database made of the sample's advisories: nothing here is scripted.

let tools: { readonly trivy: string; readonly vulndb: string };
let registry: RegistryProcess;
let folder: string;
let cacheDir: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-scan-'));
  cacheDir = join(folder, 'cache');
  tools = await resolveTools(['trivy', 'vulndb'], {
    env: process.env,
    onProgress: () => undefined,
    signal: AbortSignal.timeout(600_000),
  });
  registry = await startRegistry();
  await makeDatabase(cacheDir, '2026-11-21T10:00:00Z');
});

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true });
});

async function makeDatabase(out: string, updatedAt: string): Promise<void> {
  const args = ['-out', out, '-updated-at', updatedAt, '-source-id', 'sample', '-source-name', 'Sample data'];
  const run = promisify(execFile)(tools.vulndb, args);
  const advisories = join(import.meta.dirname, '../../stack/sample/advisories/debian-12.jsonl');
  createReadStream(advisories).pipe(run.child.stdin ?? process.stdout);
  await run;
}

function newTrivy(options: Partial<TrivyOptions> = {}) {
  const clock = () => new Date('2026-11-21T12:00:00Z');
  return createTrivy({ trivy: tools.trivy, cacheDir, workDir: folder, runProcess, clock, ...options });
}

interface Scan {
  readonly repository: string;
  readonly files: ImageFiles;
  readonly platform?: string;
  /** What is asked for, where it differs from what the image is. */
  readonly asked?: string;
}

async function scan({ repository, files, platform = 'linux/amd64', asked = platform }: Scan, trivy = newTrivy()) {
  const { digest } = await pushImage({ registryUrl: registry.url, repository, platform, files });
  const login = { host: registry.host, username: '', password: '', isInsecure: true };
  const signal = AbortSignal.timeout(60_000);
  return trivy.imageScan({ repository, digest, platform: asked, login, timeoutMs: 60_000, signal });
}

/** brotli has one advisory in the sample data, fixed in 1.0.9-2+deb12u1. */
const vulnerable = debianFiles('12.5', [{ name: 'libbrotli1', source: 'brotli', version: '1.0.9-2' }]);
const fixed = debianFiles('12.5', [{ name: 'libbrotli1', source: 'brotli', version: '1.0.9-2+deb12u1' }]);

test('an image with a vulnerable package has its finding, with an SBOM of the same pass', async () => {
  const result = await scan({ repository: 'team/vulnerable', files: vulnerable, platform: 'linux/arm64' });
  if (result.kind !== 'scanned') throw new Error('not scanned');
  expect(result).toMatchObject({
    engineVersion: '0.74.0',
    unscannable: null,
    facts: { os: 'debian 12.5', osPackages: 1 },
    findings: [
      {
        platform: 'linux/arm64',
        cve: 'CVE-2026-111497',
        severity: 'high',
        package: 'libbrotli1',
        installedVersion: '1.0.9-2',
        fixedVersion: '1.0.9-2+deb12u1',
        kind: 'os',
      },
    ],
  });
  const sbom = JSON.parse(Buffer.from(result.sbom).toString());
  expect(sbom.bomFormat).toBe('CycloneDX');
  expect(sbom.components.map((component: { name: string }) => component.name)).toContain('libbrotli1');
});

test('the fixed version is clean', async () => {
  expect(await scan({ repository: 'team/fixed', files: fixed })).toMatchObject({ findings: [], unscannable: null });
});

test('an image without packages, and one whose package list was removed, are unscannable and not clean', async () => {
  const empty = { 'bin/hello': 'hello' };
  expect(await scan({ repository: 'team/empty', files: empty })).toMatchObject({ unscannable: 'no_packages' });
  const { 'var/lib/dpkg/status': _status, ...hidden } = vulnerable;
  expect(await scan({ repository: 'team/hidden', files: hidden })).toMatchObject({ unscannable: 'no_packages' });
});

test('sample data does not answer for a release it does not know', async () => {
  const marker = join(cacheDir, 'db/sample');
  await writeFile(marker, 'debian 12\n');
  expect(await scan({ repository: 'team/known', files: vulnerable })).toMatchObject({
    unscannable: null,
    database: { isSampleData: true },
  });
  const other = debianFiles('13.1', [{ name: 'libbrotli1', source: 'brotli', version: '1.0.9-2' }]);
  expect(await scan({ repository: 'team/other', files: other })).toMatchObject({ unscannable: 'data_missing' });
  await rm(marker);
});

test('an image of another platform than was asked for is an error', async () => {
  const wrong = { repository: 'team/wrong', files: fixed, platform: 'linux/arm64', asked: 'linux/amd64' };
  await expect(scan(wrong)).rejects.toThrow('it is about an image for linux/arm64, not for linux/amd64');
});

test('an image that is not there is an error that says so', async () => {
  const login = { host: registry.host, username: '', password: '', isInsecure: true };
  const digest = `sha256:${'0'.repeat(64)}`;
  const signal = AbortSignal.timeout(60_000);
  const asked = { repository: 'team/gone', digest, platform: 'linux/amd64', login, timeoutMs: 60_000, signal };
  await expect(newTrivy().imageScan(asked)).rejects.toThrow(/^Trivy ended with 1: .*MANIFEST_UNKNOWN/);
});

test('a missing database is told as missing, a dead one is an error, and neither looks clean', async () => {
  const none = newTrivy({ cacheDir: join(folder, 'nothing') });
  expect(await scan({ repository: 'team/fixed', files: fixed }, none)).toEqual({
    kind: 'data_missing',
    engineVersion: '0.74.0',
  });

  const dead = join(folder, 'dead');
  await makeDatabase(dead, '2026-11-21T10:00:00Z');
  await writeFile(join(dead, 'db/trivy.db'), randomBytes(100_000));
  await expect(scan({ repository: 'team/fixed', files: fixed }, newTrivy({ cacheDir: dead }))).rejects.toThrow(
    'invalid database',
  );
});

test('with a repository the database comes from there, is replaced when a newer one is due, and outlives a broken mirror', async () => {
  const downloads = join(folder, 'downloads');
  const failures: unknown[] = [];
  let now = new Date('2026-11-21T12:00:00Z');
  const trivy = newTrivy({
    cacheDir: downloads,
    databaseRepository: `${registry.host}/mirror/trivy-db:2`,
    clock: () => now,
    onDownloadFailed: (error) => void failures.push(error),
  });
  const image = { repository: 'team/vulnerable', files: vulnerable };

  await expect(scan(image, trivy)).rejects.toThrow('Trivy ended with 1');
  await publish('2026-11-21T10:00:00Z');
  const first = await Promise.all([scan(image, trivy), scan(image, trivy)]);
  for (const result of first)
    expect(result).toMatchObject({
      findings: { length: 1 },
      database: { updatedAt: new Date('2026-11-21T10:00:00Z') },
    });
  expect(await readdir(join(downloads, 'official'))).toHaveLength(2);

  await publish('2026-11-22T10:00:00Z');
  expect(await scan(image, trivy)).toMatchObject({ database: { updatedAt: new Date('2026-11-21T10:00:00Z') } });
  now = new Date('2026-11-22T11:00:00Z');
  expect(await scan(image, trivy)).toMatchObject({ database: { updatedAt: new Date('2026-11-22T10:00:00Z') } });

  now = new Date('2026-11-24T11:00:00Z');
  await publish('2026-11-24T10:00:00Z', { 'metadata.json': '{' });
  expect(await scan(image, trivy)).toMatchObject({ database: { updatedAt: new Date('2026-11-22T10:00:00Z') } });
  expect(failures).toHaveLength(1);
  await publish('2026-11-24T10:00:00Z');
  now = new Date('2026-11-24T11:30:00Z');
  expect(await scan(image, trivy)).toMatchObject({ database: { updatedAt: new Date('2026-11-24T10:00:00Z') } });
  // The one in use and the one just replaced, which a scan may still read; older ones are gone.
  expect((await readdir(join(downloads, 'official'))).filter((name) => name.startsWith('db-'))).toHaveLength(2);
});

async function publish(updatedAt: string, change: ImageFiles = {}): Promise<void> {
  const made = await mkdtemp(join(folder, 'made-'));
  await makeDatabase(made, updatedAt);
  const files = {
    'trivy.db': await readFile(join(made, 'db/trivy.db')),
    'metadata.json': await readFile(join(made, 'db/metadata.json')),
    ...change,
  };
  await pushTrivyDatabase({ registryUrl: registry.url, repository: 'mirror/trivy-db', tag: '2', files });
}
