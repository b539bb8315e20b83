import type { Descriptor } from '../../domain/image-manifest.ts';
import { createThrottle, forEachParallel, type Pace } from './registry-copy-pace.ts';
import type { Presence } from './registry-copy-verify.ts';
import type { ImageCopy } from './registry-copy.ts';
import type { CallOptions } from './registry-http.ts';

/** What a copy has done so far; `report` tells the caller, not more than five times a second unless it matters. */
export interface Tally {
  bytes: number;
  bytesTotal: number;
  copied: number;
  mounted: number;
  skipped: number;
  blobsTotal: number;
}

export interface BlobsTransfer {
  readonly copy: ImageCopy;
  readonly blobs: readonly Descriptor[];
  /** What the destination holds already; may become known only while blobs are on their way. */
  readonly asked: Promise<Presence>;
  /** These blobs turned out not to be there although it was said: neither asked nor mounted again. */
  readonly isRepair: boolean;
  readonly pace: Pace;
  readonly tally: Tally;
  readonly report: () => void;
}

/** A config or a signature takes round trips and no bandwidth: it does not wait for the layers to be through. */
const smallBytes = 128 * 1024;
const smallAtOnce = 8;

/** Brings the blobs over in the order given, as many at once as the pace allows, small ones in a lane of their own. */
export function blobsTransfer(transfer: BlobsTransfer, { signal, onRetry }: CallOptions): Promise<void> {
  const { pace, blobs, copy } = transfer;
  const throttle = createThrottle((copy.bandwidthKiBs ?? 0) * 1024, () => performance.now());
  const lanes = [
    { blobs: blobs.filter(({ size }) => size > smallBytes), limit: pace.limit, onTick: pace.tick },
    { blobs: blobs.filter(({ size }) => size <= smallBytes), limit: () => Math.min(smallAtOnce, pace.limit()) },
  ];
  return forEachParallel(lanes, { limit: () => lanes.length, signal }, (lane, ofLanes) =>
    forEachParallel(lane.blobs, { ...lane, signal: ofLanes }, (blob, shared) =>
      transferOne(transfer, { blob, throttle }, { signal: shared, onRetry }),
    ),
  );
}

interface OneBlob {
  readonly blob: Descriptor;
  readonly throttle: ReturnType<typeof createThrottle>;
}

async function transferOne(transfer: BlobsTransfer, one: OneBlob, { signal, onRetry }: CallOptions): Promise<void> {
  const { asked, isRepair, tally, report } = transfer;
  const { digest, size } = one.blob;
  const there = new AbortController();
  if (!isRepair)
    void asked.then(
      ({ blobs }) => blobs.has(digest) && there.abort(),
      () => undefined,
    );
  try {
    const how = await send(transfer, one, { signal: AbortSignal.any([signal, there.signal]), onRetry });
    if (how === 'mounted') tally.mounted += 1;
    else tally.copied += 1;
  } catch (error) {
    if (signal.aborted || !there.signal.aborted) throw error;
    tally.skipped += 1;
    tally.blobsTotal -= 1;
    tally.bytesTotal -= size;
  }
  report();
}

function send(
  transfer: BlobsTransfer,
  { blob, throttle }: OneBlob,
  { signal, onRetry }: CallOptions,
): Promise<'mounted' | 'uploaded'> {
  const { copy, isRepair, pace, tally, report } = transfer;
  const { source, destination } = copy;
  const { digest, size } = blob;

  async function* counted(chunks: AsyncIterable<Uint8Array>, wanted: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      await throttle(chunk.length, wanted);
      pace.moved(chunk.length);
      tally.bytes += chunk.length;
      report();
      yield chunk;
    }
  }

  return destination.client.blobUpload({
    repository: destination.repository,
    digest,
    size,
    mountFrom: isRepair ? [] : mountCandidates(copy, digest),
    open: async (offset, wanted) => {
      const options = { offset, signal: wanted, onRetry };
      return counted(await source.client.blobGet(source.repository, { digest, size }, options), wanted);
    },
    signal,
    onRetry,
  });
}

/** Within one registry the source itself holds the blob. */
function mountCandidates({ source, destination, mountFrom }: ImageCopy, digest: string): readonly string[] {
  const own = source.client.host === destination.client.host ? [source.repository] : [];
  const known = mountFrom?.(digest) ?? [];
  return [...new Set([...own, ...known])].filter((repository) => repository !== destination.repository);
}
