import { CancellationScope } from '@temporalio/workflow';
import type { PlatformImage } from '../domain/build.ts';
import type { DeliveryChainInput, RunOrigin, StepOutcome } from '../domain/chain.ts';
import { buildActivities, sourceActivities } from './activities.ts';

export interface BuildOutcome extends StepOutcome<{
  build: string;
  tags: readonly string[];
  platforms: readonly { platform: string; digest: string }[];
}> {
  readonly images: readonly PlatformImage[];
}

/** Clones the commit once, then builds every architecture at the same time, each pushed by digest (docs/product.md, section 7). */
export async function runBuild(
  input: DeliveryChainInput,
  origin: Extract<RunOrigin, { kind: 'source' }>,
): Promise<BuildOutcome> {
  const { runId, attempt, repository, timings } = input;
  const { buildId, rule, source, isCached } = origin;
  const { contextDirectory, dockerfile } = rule;
  const context = await sourceActivities(timings).cloneSource({
    runId,
    attempt,
    buildId,
    repository,
    source,
    contextDirectory,
    dockerfile,
  });
  const images = await allOrNone(
    rule.architectures.map(
      (platform) => () =>
        buildActivities(timings, {
          region: repository.region,
          platform,
          timeoutMinutes: rule.timeoutMinutes,
        }).buildImage({
          runId,
          attempt,
          buildId,
          repository,
          rule,
          source,
          platform,
          contextKey: context.contextKey,
          commitTime: context.commitTime,
          isCached,
        }),
    ),
  );
  return {
    state: 'success',
    why: null,
    reason: null,
    result: {
      build: buildId,
      tags: origin.tags,
      platforms: images.map(({ platform, digest }) => ({ platform, digest })),
    },
    images,
  };
}

/** Runs all; when one fails the others are canceled, and their end is awaited so that every process is known to be gone. */
async function allOrNone<Result>(works: readonly (() => Promise<Result>)[]): Promise<Result[]> {
  const scope = new CancellationScope({ cancellable: true });
  const running = scope.run(async () => works.map((work) => work()));
  const promises = await running;
  try {
    return await Promise.all(promises);
  } catch (error) {
    scope.cancel();
    await Promise.allSettled(promises);
    throw error;
  }
}
