import type { Database } from '../db/database.ts';
import { listKnownDeliveries } from '../db/repositories/inbox.ts';
import type { SourceAddress } from '../db/repositories/source-address.ts';
import { deliveriesToAskFor } from '../domain/reconcile.ts';
import { HostError } from '../domain/source-host-error.ts';
import type { SourceHosts } from './drivers/source-host.ts';
import type { SourceLogins } from './drivers/source-logins.ts';

export interface RedeliverDeps {
  readonly db: Database;
  readonly sourceHosts: SourceHosts;
  readonly sourceLogins: Pick<SourceLogins, 'secret'>;
}

/**
 * Has a host that keeps its deliveries send those again that did not arrive: they say more of a push than its ref does. Only asked
 * where a push was missed, so that a host's limits on calls are not spent on sources in order. A host that will not is no failure:
 * the refs tell what was pushed all the same.
 */
export async function askForDeliveries(
  { db, sourceHosts, sourceLogins }: RedeliverDeps,
  { address, hookId, hookRef }: { address: SourceAddress; hookId: string; hookRef: string | null },
  signal: AbortSignal,
): Promise<void> {
  if (hookRef === null) return;
  try {
    const secret = await sourceLogins.secret(address, { signal });
    const deliveries = secret === null ? null : (sourceHosts.client({ ...address, secret })?.deliveries ?? null);
    if (deliveries === null) return;
    const kept = await deliveries.deliveriesList(address, hookRef, { signal });
    const known = await listKnownDeliveries(db, { hookId, deliveryIds: kept.map(({ deliveryId }) => deliveryId) });
    for (const id of deliveriesToAskFor(kept, { known })) {
      await deliveries.deliveryRedeliver(address, { hookRef, id }, { signal });
    }
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
}
