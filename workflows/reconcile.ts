import type { ReconcileResult } from '../activities/reconcile.ts';
import { reconcileSources } from './activities.ts';

/** How long a delivery may be on its way before what it would tell counts as missed. */
const graceMs = 15_000;

/** At least every ten minutes: finds the pushes nobody told of (docs/product.md, section 5, "What starts what"). */
export function sourceReconciliation(): Promise<ReconcileResult> {
  return reconcileSources({ startedAtMs: Date.now(), isNew: false, graceMs });
}
