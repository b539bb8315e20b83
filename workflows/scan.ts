import { ActivityFailure, ApplicationFailure, CancellationScope, sleep } from '@temporalio/workflow';
import type { PlatformImage } from '../domain/build.ts';
import type { RunScan } from '../activities/scan.ts';
import type { DeliveryChainInput, RunImages, StepOutcome } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import { addCounts, judge } from '../domain/scan.ts';
import type { ScanPolicy, ScanSummary, SeverityCounts, Verdict } from '../domain/scan.ts';
import { controlActivities, registryActivities, replicateActivities, scanActivities } from './activities.ts';
import { moveRunTags } from './push.ts';
import type { FencedTag, TagUpdate } from './push.ts';
import { reasonOf } from './record.ts';

export interface ScanResult {
  readonly scan: string;
  readonly verdict: 'passed' | 'denied' | 'error';
  readonly counts: SeverityCounts;
  readonly fixable: SeverityCounts;
  readonly rule: string | null;
  readonly engines: readonly ScanSummary['engine'][];
  readonly cves: readonly string[];
  readonly tags: readonly string[];
  readonly fenced: readonly FencedTag[];
  readonly backup: readonly string[];
  readonly isDeleted: boolean;
}

interface JudgedOutcome extends StepOutcome<ScanResult> {
  readonly state: 'success' | 'failed';
  /** Tags moved here because the chain held them back until now; null when the push had moved them. */
  readonly updates: readonly TagUpdate[] | null;
}

interface DeniedOutcome extends StepOutcome<ScanResult> {
  readonly state: 'denied';
  readonly reason: Reason;
  readonly updates: null;
}

export type ScanOutcome = JudgedOutcome | DeniedOutcome;

/**
 * Scans every architecture by digest, judges, and carries out the verdict: a passed image gets its held tags, a denied one is
 * backed up, then deleted, as configured (docs/product.md, section 9). An engine that cannot answer never passes a blocking policy.
 */
export async function runScan(input: DeliveryChainInput, policy: ScanPolicy, images: RunImages): Promise<ScanOutcome> {
  const { runId, attempt, repository, timings } = input;
  const scan: RunScan = { runId, attempt, repository, digest: images.digest, engine: policy.engine };
  const close = (verdict: ScanResult['verdict'], reason: Reason | null) =>
    CancellationScope.nonCancellable(() => controlActivities(timings).closeScan({ ...scan, verdict, reason }));
  const scanned = await scanAll(input, policy, { scan, platforms: images.platforms });
  if (scanned.kind === 'error') {
    const { scanId } = await close('error', scanned.reason);
    if (policy.strategy === 'blocking')
      throw ApplicationFailure.nonRetryable(scanned.reason.text, scanned.reason.code, scanned.reason.params);
    return {
      ...outcomeOf(scanId, [], { verdict: 'error', rule: null, ...(await releaseTags(input, policy, images)) }),
      state: 'failed',
      reason: scanned.reason,
    };
  }
  const verdict = judge(scanned.summaries, policy);
  if (verdict.kind === 'denied') {
    const { scanId } = await close('denied', verdict.reason);
    const block = await CancellationScope.nonCancellable(() => carryOutBlock(input, policy, images));
    const outcome = outcomeOf(scanId, scanned.summaries, {
      verdict: 'denied',
      rule: verdict.rule,
      updates: null,
      fenced: [],
    });
    return {
      ...outcome,
      state: 'denied',
      reason: verdict.reason,
      updates: null,
      result: { ...outcome.result, ...block },
    };
  }
  const [{ scanId }, released] = await Promise.all([
    close('passed', verdict.reason),
    releaseTags(input, policy, images),
  ]);
  return outcomeOf(scanId, scanned.summaries, { verdict: 'passed', rule: null, ...released });
}

type Scanned =
  | { readonly kind: 'summaries'; readonly summaries: readonly ScanSummary[] }
  | { readonly kind: 'error'; readonly reason: Reason };

async function scanAll(
  input: DeliveryChainInput,
  policy: ScanPolicy,
  { scan, platforms }: { scan: RunScan; platforms: readonly PlatformImage[] },
): Promise<Scanned> {
  const scans = await Promise.allSettled(platforms.map((image) => scanOne(input, policy, { scan, image })));
  const failed = scans.find((scan) => scan.status === 'rejected');
  // A cancellation is no scan result: reasonOf throws it on.
  if (failed !== undefined) return { kind: 'error', reason: reasonOf('scan', failed.reason) };
  return {
    kind: 'summaries',
    summaries: scans.filter((scan) => scan.status === 'fulfilled').map((scan) => scan.value),
  };
}

/** The policy's `retries` count failures of the engine; an attempt lost with its worker is retried by the server and counts nothing. */
async function scanOne(
  input: DeliveryChainInput,
  policy: ScanPolicy,
  { scan, image }: { scan: RunScan; image: PlatformImage },
): Promise<ScanSummary> {
  const { timings } = input;
  for (let failures = 0; ; failures += 1) {
    try {
      return await scanActivities(timings, policy).scanImage({ ...scan, image, policy });
    } catch (error) {
      if (!isEngineFailure(error) || failures >= policy.retries) throw error;
      await sleep(timings.retryInitialMs * 2 ** failures);
    }
  }
}

function isEngineFailure(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.type === 'scan.engine_failed'
  );
}

async function releaseTags(
  input: DeliveryChainInput,
  policy: ScanPolicy,
  images: RunImages,
): Promise<Pick<ScanOutcome, 'updates'> & { fenced: readonly FencedTag[] }> {
  if (!policy.holdTag || input.origin.kind === 'image') return { updates: null, fenced: [] };
  return moveRunTags(input, images);
}

/** Back up first: what is deleted must still be there to be kept. */
async function carryOutBlock(
  input: DeliveryChainInput,
  { onBlock, holdTag }: ScanPolicy,
  images: RunImages,
): Promise<{ backup: readonly string[]; isDeleted: boolean }> {
  const { runId, attempt, repository, timings, origin } = input;
  const { tags: backup } = onBlock.backUp
    ? await replicateActivities(timings).backUpImage({ runId, attempt, repository, images })
    : { tags: [] };
  if (!onBlock.deleteOriginal) return { backup, isDeleted: false };
  // A tag that was held back never stood on this image; what it stands on must stay.
  const tags = origin.kind === 'image' || !holdTag ? images.tags : [];
  const { isDigestDeleted } = await registryActivities(timings).deleteImage({
    runId,
    attempt,
    repository,
    digest: images.digest,
    tags,
    parts: images.platforms.map((image) => image.digest),
  });
  return { backup, isDeleted: isDigestDeleted || tags.length > 0 };
}

function outcomeOf(
  scan: string,
  summaries: readonly ScanSummary[],
  {
    verdict,
    rule,
    updates,
    fenced,
  }: {
    verdict: Verdict['kind'] | 'error';
    rule: string | null;
    updates: readonly TagUpdate[] | null;
    fenced: readonly FencedTag[];
  },
): JudgedOutcome {
  const engines = new Map(summaries.map(({ engine }) => [`${engine.name} ${engine.version}`, engine]));
  return {
    state: 'success',
    why: null,
    reason: null,
    result: {
      scan,
      verdict,
      counts: addCounts(summaries.map(({ counts }) => counts)),
      fixable: addCounts(summaries.map(({ fixable }) => fixable)),
      rule,
      engines: [...engines.values()],
      cves: [...new Set(summaries.flatMap(({ listedCves, worstCves }) => [...listedCves, ...worstCves]))].slice(0, 20),
      tags: (updates ?? []).map(({ tag }) => tag),
      fenced,
      backup: [],
      isDeleted: false,
    },
    updates,
  };
}
