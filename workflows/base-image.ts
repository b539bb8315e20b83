import { isCancellation } from '@temporalio/workflow';
import { readBaseImages, startBaseImageBuild } from './activities.ts';

/**
 * Every five minutes: builds anew what was made from a hosted base image that is another one now (docs/product.md, section 7). A
 * build that cannot be started now is due again in the next round.
 */
export async function baseImageWatch(): Promise<{ images: number; started: number }> {
  const { images, stale } = await readBaseImages();
  let started = 0;
  for (const { ruleId, ref, sinceMs } of stale) {
    const outcome = await startBaseImageBuild({ ruleId, ref, cause: 'base_image', sinceMs }).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      return { kind: 'failed' } as const;
    });
    if (outcome.kind === 'started') started += 1;
  }
  return { images, started };
}
