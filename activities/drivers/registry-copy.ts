import type { Descriptor } from '../../domain/image-manifest.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { blobsTransfer, type Tally } from './registry-copy-blobs.ts';
import { createPace, forEachParallel, type Pace } from './registry-copy-pace.ts';
import { copyPlan, type CopyPlan, type CopySource, type PlannedManifest } from './registry-copy-plan.ts';
import { copyMissing, copyVerify, presentAt, verifyFailed, type Presence } from './registry-copy-verify.ts';
import type { CallOptions } from './registry-http.ts';
import type { RegistryClient } from './registry.ts';

export interface CopyDestination {
  readonly client: RegistryClient;
  readonly repository: string;
}

export interface ImageCopy {
  readonly source: CopySource;
  readonly destination: CopyDestination;
  /** Moved onto the copied digest at the very end; none when the caller moves them himself. */
  readonly tags: readonly string[];
  /** False: a tag that points elsewhere stops the copy with `tag_conflict`. Default true. */
  readonly isOverrideAllowed?: boolean;
  /** Repositories of the destination known to hold a blob. */
  readonly mountFrom?: (digest: string) => readonly string[];
  /** Over all transfers of this copy; 0 is no limit. */
  readonly bandwidthKiBs?: number;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal: AbortSignal;
}

/** How far a copy is. Bytes and blobs that need not be sent do not count into the totals. */
export interface CopyProgress {
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly blobs: BlobCounts;
  readonly blobsTotal: number;
}

export interface BlobCounts {
  readonly copied: number;
  readonly mounted: number;
  readonly skipped: number;
}

export interface ImageCopyResult {
  readonly digest: string;
  /** Bytes of blobs that were sent. */
  readonly bytes: number;
  readonly blobs: BlobCounts;
  /** Manifests of the image and of its referrers, all present at the destination now. */
  readonly manifests: number;
}

const manifestsAtOnce = 16;
const startWorkers = 6;
const maxWorkers = 24;
const reportEveryMs = 200;

/**
 * Copies an image with all its platforms and referrers, byte for byte (docs/product.md, section 10): what is there is left
 * alone, what another repository holds is mounted, the rest is streamed. It is done when it was read back from the
 * destination; tags move last. Running it again goes on where it ended.
 * @throws RegistryError with the `issue` of a replication task
 */
export async function imageCopy(copy: ImageCopy): Promise<ImageCopyResult> {
  const ended = new AbortController();
  const pace = createPace({ start: startWorkers, max: maxWorkers, now: () => performance.now() });
  const call: CallOptions = { signal: AbortSignal.any([copy.signal, ended.signal]), onRetry: pace.slowDown };
  try {
    return await runCopy({ ...copy, pace }, call);
  } catch (error) {
    copy.signal.throwIfAborted();
    throw error;
  } finally {
    ended.abort();
  }
}

async function runCopy(copy: ImageCopy & { readonly pace: Pace }, call: CallOptions): Promise<ImageCopyResult> {
  const { source, destination, tags } = copy;
  const [plan, isKnown] = await Promise.all([
    copyPlan(source, call),
    destination.client.repositoryHead(destination.repository, { actions: ['pull', 'push'], ...call }),
  ]);
  const asked = presentAt(destination, { plan, tags }, call);
  // A repository the registry does not know holds nothing, but for the rest of a copy that broke: there the question goes
  // out beside the transfer instead of before it, which saves a round trip.
  const known = isKnown ? await asked : undefined;
  if (known !== undefined) assertTagsFree(copy, known);
  const blobs = plan.blobs.filter((blob) => known?.blobs.has(blob.digest) !== true);
  const tally = newTally(plan, blobs);
  const transfer = { copy, pace: copy.pace, tally, asked, report: throttledReport(copy, tally) };
  const repair = (missing: readonly Descriptor[]) =>
    blobsTransfer({ ...transfer, blobs: missing, isRepair: true }, call);

  const presence = await besides(call, asked, (shared) =>
    blobsTransfer({ ...transfer, blobs, isRepair: false }, shared),
  );
  assertTagsFree(copy, presence);
  const manifests = plan.manifests.filter((manifest) => !presence.manifests.has(manifest.digest));
  await manifestsPut(copy, manifests, { plan, repair, call });
  // Where nothing was sent, the HEADs have read it back already.
  if (tally.copied + tally.mounted + manifests.length > 0) await readBack(copy, plan, { repair, call });
  await tagsMove(copy, { root: plan.root, presence, call });

  const progress = progressOf(tally);
  copy.onProgress?.(progress);
  return { digest: plan.root.digest, bytes: tally.bytes, blobs: progress.blobs, manifests: plan.manifests.length };
}

/** The answer to a running question, and work beside it; when one fails, the other ends before that is told. */
async function besides<T>(
  call: CallOptions,
  asked: Promise<T>,
  work: (call: CallOptions) => Promise<void>,
): Promise<T> {
  const halves = [() => asked.then(() => undefined), (signal: AbortSignal) => work({ ...call, signal })];
  await forEachParallel(halves, { limit: () => halves.length, signal: call.signal }, (half, shared) => half(shared));
  return asked;
}

function assertTagsFree({ source, destination, tags, isOverrideAllowed = true }: ImageCopy, presence: Presence): void {
  if (isOverrideAllowed) return;
  const taken = tags.find((tag) => presence.tags.has(tag) && presence.tags.get(tag) !== source.digest);
  if (taken === undefined) return;
  throw new RegistryError(
    `The tag ${destination.client.host}/${destination.repository}:${taken} points to ${presence.tags.get(taken) ?? ''} and the rule may not move it. ` +
      'Allow the rule to override tags, or delete the tag at the destination.',
    { issue: 'tag_conflict', isPermanent: true },
  );
}

interface Writing {
  readonly plan: CopyPlan;
  readonly repair: (missing: readonly Descriptor[]) => Promise<void>;
  readonly call: CallOptions;
}

/** Children before parents: a registry refuses an index whose manifests it does not have. */
async function manifestsPut(copy: ImageCopy, manifests: readonly PlannedManifest[], writing: Writing): Promise<void> {
  const heights = [...new Set(manifests.map(({ height }) => height))].sort((a, b) => a - b);
  for (const height of heights) {
    const wave = manifests.filter((manifest) => manifest.height === height);
    await putWave(copy, wave, writing.call).catch(async (error: unknown) => {
      if (!(error instanceof RegistryError) || error.code !== 'MANIFEST_BLOB_UNKNOWN') throw error;
      // The registry took a blob, or said it mounted one, and does not have it. Once more, without mounting.
      await writing.repair(await copyMissing(copy.destination, writing.plan, writing.call));
      await putWave(copy, wave, writing.call).catch((again: unknown) => {
        if (!(again instanceof RegistryError) || again.code !== 'MANIFEST_BLOB_UNKNOWN') throw again;
        throw verifyFailed(copy.destination, 'all blobs', again);
      });
    });
  }
}

function putWave(
  { destination }: ImageCopy,
  wave: readonly PlannedManifest[],
  { signal, onRetry }: CallOptions,
): Promise<void> {
  return forEachParallel(
    wave,
    { limit: () => manifestsAtOnce, signal },
    async ({ digest, mediaType, bytes }, shared) => {
      await destination.client.manifestPut(destination.repository, digest, {
        mediaType,
        bytes,
        signal: shared,
        onRetry,
      });
    },
  );
}

async function readBack(
  { destination }: ImageCopy,
  plan: CopyPlan,
  { repair, call }: Omit<Writing, 'plan'>,
): Promise<void> {
  const missing = await copyVerify(destination, plan, call);
  if (missing.length === 0) return;
  await repair(missing);
  const [still] = await copyMissing(destination, plan, call);
  if (still !== undefined) throw verifyFailed(destination, `the blob ${still.digest}`);
}

async function tagsMove(
  { destination, tags }: ImageCopy,
  { root, presence, call }: { root: PlannedManifest; presence: Presence; call: CallOptions },
): Promise<void> {
  const moving = tags.filter((tag) => presence.tags.get(tag) !== root.digest);
  const { mediaType, bytes } = root;
  await Promise.all(
    moving.map((tag) => destination.client.manifestPut(destination.repository, tag, { mediaType, bytes, ...call })),
  );
}

function newTally(plan: CopyPlan, blobs: readonly Descriptor[]): Tally {
  const bytesTotal = blobs.reduce((sum, { size }) => sum + size, 0);
  return {
    bytes: 0,
    bytesTotal,
    copied: 0,
    mounted: 0,
    skipped: plan.blobs.length - blobs.length,
    blobsTotal: blobs.length,
  };
}

function progressOf({ bytes, bytesTotal, copied, mounted, skipped, blobsTotal }: Tally): CopyProgress {
  return { bytes, bytesTotal, blobs: { copied, mounted, skipped }, blobsTotal };
}

/** Every chunk would be thousands of calls a second. */
function throttledReport({ onProgress }: ImageCopy, tally: Tally): () => void {
  let last = 0;
  return () => {
    const now = performance.now();
    if (onProgress === undefined || now - last < reportEveryMs) return;
    last = now;
    onProgress(progressOf(tally));
  };
}
