import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Architecture, PlatformImage } from '../domain/build.ts';
import { buildRegionOf } from '../domain/chain.ts';
import type { DeliveryChainInput, RunOrigin, StepOutcome } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import { buildActivities, sourceActivities } from './activities.ts';
import { reasonOf } from './record.ts';

/** An architecture whose image a partial build goes without. */
export interface FailedPlatform {
  readonly platform: string;
  readonly reason: Reason;
}

export interface BuildOutcome extends StepOutcome<{
  build: string;
  tags: readonly string[];
  platforms: readonly { platform: string; digest: string }[];
  failed: readonly FailedPlatform[];
}> {
  readonly images: readonly PlatformImage[];
}

type SourceOrigin = Extract<RunOrigin, { kind: 'source' }>;

/** Work on one architecture. */
interface PlatformWork {
  readonly platform: Architecture;
  readonly build: () => Promise<PlatformImage>;
}

interface Built {
  readonly images: readonly PlatformImage[];
  readonly failed: readonly FailedPlatform[];
}

/**
 * Clones the commit once, then builds every architecture at the same time, each pushed by digest; what an earlier build made of
 * the commit is taken over (docs/product.md, section 7).
 */
export async function runBuild(input: DeliveryChainInput, origin: SourceOrigin): Promise<BuildOutcome> {
  const { buildId, rule, reuse, tags } = origin;
  const works = await openWorks(input, origin);
  const built = rule.allowPartial ? await thoseThatCan(works, reuse) : await allOrNone(works);
  // In the order of the rule, so that the index has the same bytes whoever was first.
  const images = rule.architectures.flatMap(
    (platform) => [...reuse, ...built.images].find((image) => image.platform === platform) ?? [],
  );
  return {
    state: 'success',
    why: null,
    reason: null,
    result: {
      build: buildId,
      tags,
      platforms: images.map(({ platform, digest }) => ({ platform, digest })),
      failed: built.failed,
    },
    images,
  };
}

async function openWorks(input: DeliveryChainInput, origin: SourceOrigin): Promise<readonly PlatformWork[]> {
  const { runId, attempt, repository, timings } = input;
  const { buildId, rule, source, isCached, reuse } = origin;
  const common = { runId, attempt, buildId, repository, source };
  const { contextDirectory, dockerfile, timeoutMinutes } = rule;
  const clone = { ...common, contextDirectory, dockerfile };
  const { contextKey, commitTime, defaultBranch } = await sourceActivities(timings).cloneSource(clone);
  const region = buildRegionOf(repository, origin);
  return rule.architectures
    .filter((platform) => !reuse.some((image) => image.platform === platform))
    .map((platform) => ({
      platform,
      build: () =>
        buildActivities(timings, { region, platform, timeoutMinutes }).buildImage({
          ...common,
          rule,
          platform,
          buildRegion: region,
          contextKey,
          commitTime,
          isCached,
          defaultBranch,
        }),
    }));
}

/** Runs all; when one fails the others are canceled, and their end is awaited so that every process is known to be gone. */
async function allOrNone(works: readonly PlatformWork[]): Promise<Built> {
  const scope = new CancellationScope({ cancellable: true });
  const running = scope.run(async () => works.map(({ build }) => build()));
  const promises = await running;
  try {
    return { images: await Promise.all(promises), failed: [] };
  } catch (error) {
    scope.cancel();
    await Promise.allSettled(promises);
    throw error;
  }
}

/** Runs each to its own end; it is a failure only when no architecture has an image. A cancellation is everybody's. */
async function thoseThatCan(works: readonly PlatformWork[], reuse: readonly PlatformImage[]): Promise<Built> {
  const ends = await Promise.allSettled(works.map(({ build }) => build()));
  const images = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
  const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  const final = errors.find((error) => isCancellation(error)) ?? errors[0];
  const isCanceled = isCancellation(final);
  if (final !== undefined && (isCanceled || images.length + reuse.length === 0)) throw final;
  const failed = ends.flatMap((end, index) => {
    const platform = works[index]?.platform;
    if (end.status === 'fulfilled' || platform === undefined) return [];
    return [{ platform, reason: reasonOf('build', end.reason) }];
  });
  return { images, failed };
}
