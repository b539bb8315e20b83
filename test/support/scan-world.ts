import { vi } from 'vitest';
import type { ObjectStore } from '../../activities/drivers/object-store.ts';
import type { RegistryClient } from '../../activities/drivers/registry.ts';
import type { Registries } from '../../activities/drivers/registries.ts';
import type { ImageScan, Trivy } from '../../activities/drivers/trivy.ts';
import { createScanActivities, type RunScan, type ScanDeps, type ScanImageInput } from '../../activities/scan.ts';
import type { Database } from '../../db/database.ts';
import { openRunScan } from '../../db/repositories/scan.ts';
import { scanPolicySchema } from '../../domain/scan.ts';
import type { Finding, Severity } from '../../domain/scan.ts';
import { seedRun, type SeededRun } from './seed-run.ts';

export const now = new Date('2026-11-21T12:00:00Z');
export const bytes = (text: string) => new TextEncoder().encode(text);

export function finding(severity: Severity, { cve, fixed = '2' }: { cve: string; fixed?: string | null }): Finding {
  return {
    platform: 'linux/amd64',
    cve,
    severity,
    package: 'openssl',
    installedVersion: '1',
    fixedVersion: fixed,
    kind: 'os',
    layer: 'sha256:layer',
    title: 'A flaw',
    url: 'https://example.com',
  };
}

type Scanned = Extract<ImageScan, { kind: 'scanned' }>;

export function scanned(change: Partial<Scanned> = {}): Scanned {
  return {
    kind: 'scanned',
    engineVersion: '0.74.0',
    database: {
      folder: '/cache',
      version: 2,
      updatedAt: new Date('2026-11-21T10:00:00Z'),
      nextUpdateAt: new Date('2026-11-22T10:00:00Z'),
      sha256: 'd'.repeat(64),
      isSampleData: true,
      covers: null,
    },
    facts: { engineVersion: '0.74.0', os: 'debian 12.5', osPackages: 3, applicationPackages: 0 },
    findings: [],
    unscannable: null,
    report: bytes('{"report":1}'),
    sbom: bytes('{"sbom":1}'),
    ...change,
  };
}

export interface ScanWorld {
  readonly db: Database;
  readonly run: SeededRun;
  readonly activities: ReturnType<typeof createScanActivities>;
  readonly imageScan: ReturnType<typeof vi.fn<Trivy['imageScan']>>;
  readonly objectPut: ReturnType<typeof vi.fn<ObjectStore['objectPut']>>;
  readonly login: ReturnType<typeof vi.fn<Registries['login']>>;
  readonly client: {
    readonly manifestGet: ReturnType<typeof vi.fn<RegistryClient['manifestGet']>>;
    readonly manifestPut: ReturnType<typeof vi.fn<RegistryClient['manifestPut']>>;
  };
}

export async function newScanWorld(db: Database): Promise<ScanWorld> {
  const run = await seedRun(db);
  const imageScan = vi.fn<Trivy['imageScan']>();
  const objectPut = vi.fn<ObjectStore['objectPut']>().mockResolvedValue();
  const login = vi
    .fn<Registries['login']>()
    .mockResolvedValue({ host: 'registry.example', username: 'slipway', password: 'token', isInsecure: false });
  const client = {
    manifestGet: vi.fn<RegistryClient['manifestGet']>(),
    manifestPut: vi.fn<RegistryClient['manifestPut']>(),
  };
  const deps: ScanDeps = {
    db,
    trivy: { imageScan },
    objectStore: { objectPut },
    registries: { login, client: () => Promise.resolve(client) },
    clock: () => now,
  };
  return { db, run, activities: createScanActivities(deps), imageScan, objectPut, login, client };
}

/** The scan as the first of the run's activities opens it. */
export function openScan({ db, run }: ScanWorld): Promise<string> {
  const { repository, ...scan } = runScan(run);
  return openRunScan(db, { ...scan, repositoryId: repository.id, at: now });
}

export function runScan({ runId, repository, images }: SeededRun): RunScan {
  return { runId, attempt: 1, repository, digest: images.digest, engine: 'trivy' };
}

export function scanInput({ run }: ScanWorld, policy: Readonly<Record<string, unknown>> = {}): ScanImageInput {
  const [image] = run.images.platforms;
  if (image === undefined) throw new Error('no image');
  return {
    ...runScan(run),
    image,
    policy: scanPolicySchema.parse({ strategy: 'blocking', severity: 'high', vulnerabilities: 1, ...policy }),
  };
}
