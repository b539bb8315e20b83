import type { DeliveryChainInput, RunImages, StepOutcome } from '../domain/chain.ts';
import { recordImages, registryActivities } from './activities.ts';
import type { BuildOutcome } from './build.ts';

/** A tag that now points at the run's image. */
export interface TagUpdate {
  readonly tag: string;
  readonly previousDigest: string | null;
  readonly sequence: number;
}

/** A tag a newer run holds: built, not moved. */
export interface FencedTag {
  readonly tag: string;
  readonly by: number;
}

export interface PushOutcome extends StepOutcome<{
  digest: string;
  mediaType: string;
  tags: readonly string[];
  isHeld: boolean;
  fenced: readonly FencedTag[];
}> {
  readonly images: RunImages;
  readonly updates: readonly TagUpdate[];
}

/**
 * Stores the image by digest (several architectures: one index), then moves the tags unless the scan holds them back
 * (docs/product.md, sections 7 and 8). An image that exists already is only looked up.
 */
export async function runPush(input: DeliveryChainInput, built: BuildOutcome | null): Promise<PushOutcome> {
  const { runId, attempt, repository, origin, chain, timings } = input;
  const registry = registryActivities(timings);
  if (origin.kind === 'image') {
    const images = await registry.resolveImage({ repository, tag: origin.tag });
    await recordImages({ runId, images });
    return pushed(images, {
      updates: [{ tag: origin.tag, previousDigest: null, sequence: 0 }],
      fenced: [],
      isHeld: false,
    });
  }
  const platforms = built?.images ?? [];
  const index = await registry.assembleIndex({
    runId,
    attempt,
    buildId: origin.buildId,
    repository,
    images: platforms,
    failed: built?.result.failed ?? [],
  });
  const images: RunImages = { ...index, tags: origin.tags, platforms };
  const isHeld = chain.scan?.holdTag ?? false;
  if (isHeld) return pushed(images, { updates: [], fenced: [], isHeld });
  return pushed(images, { ...(await moveRunTags(input, images)), isHeld });
}

/** Moves the run's tags through the fence and shows them on the Record. */
export async function moveRunTags(
  { runId, attempt, repository, orderNo, timings }: DeliveryChainInput,
  images: RunImages,
): Promise<{ updates: readonly TagUpdate[]; fenced: readonly FencedTag[] }> {
  const { moved, fenced } = await registryActivities(timings).moveTags({
    runId,
    attempt,
    repository,
    orderNo,
    tags: images.tags,
    digest: images.digest,
    platforms: images.platforms.map((image) => image.platform),
  });
  return { updates: moved, fenced };
}

function pushed(
  images: RunImages,
  { updates, fenced, isHeld }: { updates: readonly TagUpdate[]; fenced: readonly FencedTag[]; isHeld: boolean },
): PushOutcome {
  const { digest, mediaType } = images;
  return {
    state: 'success',
    why: null,
    reason: null,
    result: { digest, mediaType, tags: updates.map(({ tag }) => tag), isHeld, fenced },
    images,
    updates,
  };
}
