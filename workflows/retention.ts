import type { Removed } from '../activities/retention.ts';
import { removeExpired } from './activities.ts';

/** Every day: removes deliveries, logs, reports and Records whose time is over (docs/product.md, section 15). */
export function retention(): Promise<Removed> {
  return removeExpired({ atMs: Date.now() });
}
