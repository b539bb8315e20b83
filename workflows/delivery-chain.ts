import type { DeliveryChainInput, RunEnd } from '../domain/chain.ts';
import { runBuild } from './build.ts';
import type { BuildOutcome } from './build.ts';
import { runPush } from './push.ts';
import type { PushOutcome } from './push.ts';
import { recordRun } from './record.ts';
import type { Success } from './record.ts';
import { runReplicate } from './replicate.ts';
import type { ReplicateOutcome } from './replicate.ts';
import { runScan } from './scan.ts';
import type { ScanOutcome } from './scan.ts';
import { runTrigger } from './trigger.ts';
import type { TriggerOutcome } from './trigger.ts';

/**
 * One run of a delivery chain: build, push, scan, replicate, trigger (docs/product.md, sections 6 to 12).
 * A denied image or a failed step is a result; the workflow itself fails only through a defect of ours.
 */
export function deliveryChain(input: DeliveryChainInput): Promise<RunEnd> {
  const { origin, chain } = input;
  const policy = chain.scan;
  return recordRun(input, async (step) => {
    const built = await step('build', origin.kind === 'source' ? () => runBuild(input, origin) : 'not_applicable');

    const push = await step('push', () => runPush(input, built));

    const scan = await step('scan', policy === null ? 'disabled' : () => runScan(input, policy, push.images));
    if (scan?.state === 'denied') return { result: 'denied', reason: scan.reason };

    const updates = scan?.updates ?? push.updates;
    const copies = await step(
      'replicate',
      chain.isReplicateOn ? () => runReplicate(input, push.images, updates) : 'disabled',
    );

    const calls = await step('trigger', chain.isTriggerOn ? () => runTrigger(input, push.images, updates) : 'disabled');

    return delivered({ built, push, scan, copies, calls });
  });
}

interface DeliveredSteps {
  readonly built: BuildOutcome | null;
  readonly push: PushOutcome;
  readonly scan: ScanOutcome | null;
  readonly copies: ReplicateOutcome | null;
  readonly calls: TriggerOutcome | null;
}

/** A scan that failed under a non-blocking policy is the one failure that a delivered run may hold. */
function delivered({ built, push, scan, copies, calls }: DeliveredSteps): Success {
  return {
    result: 'success',
    totals: {
      tags: (scan?.updates ?? push.updates).length,
      copies: copies?.result.tasks ?? 0,
      deliveries: calls?.result.deliveries.length ?? 0,
      isScanMissing: scan?.state === 'failed',
      missingPlatforms: built?.result.failed.length ?? 0,
      fencedTags: push.result.fenced.length + (scan?.result.fenced.length ?? 0),
    },
  };
}
