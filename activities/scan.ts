import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/activity';
import type { PlatformImage } from '../domain/build.ts';
import type { RepositoryRef, RunImages } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import type { StepState } from '../domain/record.ts';
import { blockedTag, summarizeScan } from '../domain/scan.ts';
import type { ScanPolicy, ScanSummary, Unscannable } from '../domain/scan.ts';
import type { Database } from '../db/database.ts';
import { recordChild } from '../db/repositories/record.ts';
import { closeRunScan, noteScanStatus, openRunScan, replaceScanReport } from '../db/repositories/scan.ts';
import type { ObjectStore } from './drivers/object-store.ts';
import type { Registries } from './drivers/registries.ts';
import type { RegistryClient } from './drivers/registry.ts';
import type { ImageScan, Trivy } from './drivers/trivy.ts';
import { heartbeating } from './heartbeat.ts';

export interface ScanDeps {
  readonly db: Database;
  readonly trivy: Pick<Trivy, 'imageScan'>;
  readonly objectStore: Pick<ObjectStore, 'objectPut'>;
  readonly registries: Pick<Registries, 'login'> & {
    client(...args: Parameters<Registries['client']>): Promise<Pick<RegistryClient, 'manifestGet' | 'manifestPut'>>;
  };
  readonly clock: () => Date;
}

/** The one scan of a run's attempt. */
export interface RunScan {
  readonly runId: string;
  readonly attempt: number;
  readonly repository: RepositoryRef;
  /** Of the image, all architectures together. */
  readonly digest: string;
  readonly engine: ScanPolicy['engine'];
}

export interface ScanImageInput extends RunScan {
  readonly image: PlatformImage;
  readonly policy: ScanPolicy;
}

export interface CloseScanInput extends RunScan {
  readonly verdict: 'passed' | 'denied' | 'error';
  readonly reason: Reason | null;
}

export interface BackUpImageInput {
  readonly runId: string;
  readonly attempt: number;
  readonly repository: RepositoryRef;
  readonly images: RunImages;
}

/** A login outlives the longest scan by this much. */
const loginReserveSeconds = 120;

/** Examines images and keeps what was found (docs/product.md, section 9). All writes have natural keys and may run twice. */
export function createScanActivities(deps: ScanDeps) {
  const { db, clock } = deps;
  return {
    /**
     * Scans one architecture by digest, as part of the run's scan. The engine's own failure is `scan.engine_failed`, which the workflow counts against the
     * policy's retries; whatever else goes wrong is thrown and tried again. No failure looks like an empty result.
     */
    async scanImage(call: ScanImageInput): Promise<ScanSummary> {
      const input = { ...call, scanId: await openScan(deps, call) };
      await noteScanStatus(db, { scanId: input.scanId, status: 'scanning' });
      await recordPlatform(deps, input, { state: 'running', reason: null, result: null });
      return heartbeating(async (signal) => {
        const scan = await examine(deps, input, signal);
        const summary = await keep(deps, input, { scan, signal }).catch((error: unknown) =>
          waitWith(deps, input, { error, signal }),
        );
        const { counts, fixable, unscannable } = summary;
        await recordPlatform(deps, input, { state: 'success', reason: null, result: { counts, fixable, unscannable } });
        return summary;
      });
    },

    async closeScan({ verdict, reason, ...scan }: CloseScanInput): Promise<{ scanId: string }> {
      const scanId = await openScan(deps, scan);
      await closeRunScan(db, { scanId, verdict, reason, at: clock() });
      return { scanId };
    },

    /** Keeps a denied image under tags of its own, one per tag of the run; they start, replicate and trigger nothing. */
    async backUpImage({ runId, repository, images }: BackUpImageInput): Promise<{ tags: readonly string[] }> {
      const path = `${repository.namespace}/${repository.name}`;
      return heartbeating(async (signal) => {
        const client = await deps.registries.client(repository.instance, [
          { repository: path, actions: ['pull', 'push'] },
        ]);
        const { mediaType, bytes } = await client.manifestGet(path, images.digest, { signal });
        const tags = images.tags.map((tag) => blockedTag(tag, runId));
        await Promise.all(tags.map((tag) => client.manifestPut(path, tag, { mediaType, bytes, signal })));
        return { tags };
      });
    },
  };
}

/** The scan's id; made when it is not there. */
function openScan({ db, clock }: ScanDeps, { runId, attempt, repository, digest, engine }: RunScan): Promise<string> {
  return openRunScan(db, { runId, attempt, repositoryId: repository.id, digest, engine, at: clock() });
}

type OpenedScan = ScanImageInput & { readonly scanId: string };

async function examine(deps: ScanDeps, input: OpenedScan, signal: AbortSignal): Promise<ImageScan> {
  const { repository, image, policy } = input;
  const path = `${repository.namespace}/${repository.name}`;
  const ttlSeconds = policy.timeoutSeconds + loginReserveSeconds;
  const login = await deps.registries
    .login(repository.instance, [{ repository: path, actions: ['pull'] }], ttlSeconds)
    .catch((error: unknown) => waitWith(deps, input, { error, signal }));
  try {
    const { digest, platform } = image;
    const timeoutMs = policy.timeoutSeconds * 1000;
    return await deps.trivy.imageScan({ repository: path, digest, platform, login, timeoutMs, signal });
  } catch (error) {
    signal.throwIfAborted();
    const text = `The scan engine could not examine ${image.platform}: ${messageOf(error)}`;
    const reason = { code: 'scan.engine_failed', params: { engine: policy.engine, platform: image.platform }, text };
    await noteRetry(deps, input, reason);
    throw ApplicationFailure.nonRetryable(text, reason.code, reason.params);
  }
}

/** Says on the Record why the scan waits, and throws what is tried again. */
async function waitWith(
  deps: ScanDeps,
  input: OpenedScan,
  { error, signal }: { error: unknown; signal: AbortSignal },
): Promise<never> {
  signal.throwIfAborted();
  const text = `Waiting to try again: ${messageOf(error)}`;
  await noteRetry(deps, input, { code: 'scan.interrupted', params: { platform: input.image.platform }, text });
  throw error;
}

async function noteRetry(deps: ScanDeps, input: OpenedScan, reason: Reason): Promise<void> {
  await noteScanStatus(deps.db, { scanId: input.scanId, status: 'retrying' });
  await recordPlatform(deps, input, { state: 'running', reason, result: null });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function keep(
  deps: ScanDeps,
  input: OpenedScan,
  { scan, signal }: { scan: ImageScan; signal: AbortSignal },
): Promise<ScanSummary> {
  const { scanId, image, policy } = input;
  const findings = scan.kind === 'scanned' ? scan.findings : [];
  const data = scan.kind === 'scanned' ? scan.database : null;
  const summary = summarizeScan({
    platform: image.platform,
    digest: image.digest,
    unscannable: unscannableNow(scan, policy, deps.clock()),
    findings,
    policy,
    engine: {
      name: policy.engine,
      version: scan.engineVersion,
      dataUpdatedAt: data?.updatedAt.toISOString() ?? null,
      isSampleData: data?.isSampleData ?? false,
    },
  });
  const objects = scan.kind === 'scanned' ? await storeReport(deps, input, { scan, signal }) : noReport;
  await replaceScanReport(deps.db, {
    report: {
      scan_id: scanId,
      platform: image.platform,
      digest: image.digest,
      unscannable: summary.unscannable,
      counts: JSON.stringify(summary.counts),
      fixable: JSON.stringify(summary.fixable),
      engine_version: scan.engineVersion,
      data_updated_at: data?.updatedAt ?? null,
      data_sha256: data?.sha256 ?? null,
      is_sample_data: summary.engine.isSampleData,
      ...objects,
      ended_at: deps.clock(),
    },
    findings,
    engine: policy.engine,
  });
  return summary;
}

/** Old data is told last: what the image lacks says more than what the data lacks. */
function unscannableNow(scan: ImageScan, policy: ScanPolicy, now: Date): Unscannable | null {
  if (scan.kind === 'data_missing') return 'data_missing';
  const ageHours = (now.getTime() - scan.database.updatedAt.getTime()) / 3_600_000;
  return scan.unscannable ?? (ageHours > policy.maxDataAgeHours ? 'data_too_old' : null);
}

const noReport = { report_key: null, report_sha256: null, sbom_key: null, sbom_sha256: null } as const;

async function storeReport(
  { objectStore }: ScanDeps,
  { scanId, image }: OpenedScan,
  { scan, signal }: { scan: Extract<ImageScan, { kind: 'scanned' }>; signal: AbortSignal },
) {
  const key = `reports/${scanId}/${image.platform.replaceAll('/', '-')}`;
  const [report_key, sbom_key] = [`${key}.json`, `${key}.cdx.json`];
  await Promise.all([
    objectStore.objectPut(report_key, scan.report, { contentType: 'application/json', signal }),
    objectStore.objectPut(sbom_key, scan.sbom, { contentType: 'application/vnd.cyclonedx+json', signal }),
  ]);
  return { report_key, report_sha256: sha256(scan.report), sbom_key, sbom_sha256: sha256(scan.sbom) };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function recordPlatform(
  { db, clock }: ScanDeps,
  { runId, attempt, image }: OpenedScan,
  child: { state: StepState; reason: Reason | null; result: unknown },
): Promise<void> {
  return recordChild(db, { runId, attempt, step: 'scan', key: image.platform, ...child, at: clock() });
}
