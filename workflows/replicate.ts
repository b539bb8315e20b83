import type { DeliveryChainInput, RunImages, StepOutcome } from '../domain/chain.ts';
import { replicationTargets } from '../domain/replicate.ts';
import type { ReplicationTarget } from '../domain/replicate.ts';
import { replicateActivities } from './activities.ts';
import type { TagUpdate } from './push.ts';

export interface ReplicateOutcome extends StepOutcome<{
  tasks: number;
  bytes: number;
  blobs: { copied: number; mounted: number; skipped: number };
}> {}

/** Copies the image to every destination of the run's rules, side by side; one that fails does not stop the others (docs/product.md, section 10). */
export async function runReplicate(
  input: DeliveryChainInput,
  images: RunImages,
  updates: readonly TagUpdate[],
): Promise<ReplicateOutcome> {
  const { runId, attempt, repository, chain, timings } = input;
  const targets = replicationTargets(chain.replicationRules, { repository, tags: updates.map(({ tag }) => tag) });
  if (targets.length === 0) return nothingToCopy;
  const copies = await Promise.allSettled(
    byDestination(targets).map((together) =>
      replicateActivities(timings).replicateImage({ runId, attempt, repository, images, targets: together }),
    ),
  );
  const failed = copies.find((copy) => copy.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  const done = copies.filter((copy) => copy.status === 'fulfilled').map((copy) => copy.value);
  const sum = (count: (copy: (typeof done)[number]) => number) => done.reduce((total, copy) => total + count(copy), 0);
  return {
    state: 'success',
    why: null,
    reason: null,
    result: {
      tasks: targets.length,
      bytes: sum((copy) => copy.bytes),
      blobs: {
        copied: sum((copy) => copy.blobs.copied),
        mounted: sum((copy) => copy.blobs.mounted),
        skipped: sum((copy) => copy.blobs.skipped),
      },
    },
  };
}

const nothingToCopy: ReplicateOutcome = {
  state: 'skipped',
  why: 'not_applicable',
  reason: null,
  result: { tasks: 0, bytes: 0, blobs: { copied: 0, mounted: 0, skipped: 0 } },
};

/** Several tags of one destination repository share one copy of the blobs. */
function byDestination(targets: readonly ReplicationTarget[]): readonly (readonly ReplicationTarget[])[] {
  const groups = new Map<string, ReplicationTarget[]>();
  for (const target of targets) {
    const place = `${target.instance}/${target.namespace}/${target.repository}`;
    groups.set(place, [...(groups.get(place) ?? []), target]);
  }
  return [...groups.values()];
}
