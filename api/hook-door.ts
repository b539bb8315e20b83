import type { Database } from '../db/database.ts';
import { findHooks, insertDeliveries } from '../db/repositories/hook.ts';
import type { AcceptedDelivery, Hook, StoredDelivery } from '../db/repositories/hook.ts';
import { deleteIdleBuckets, listEmptyBuckets, takeTokens } from '../db/repositories/rate-bucket.ts';
import { callerNetwork } from '../domain/client-address.ts';
import { limits } from '../domain/limits.ts';
import { createBatches } from './batches.ts';
import type { Clock } from './deps.ts';

const rate = { perSecond: limits.hookPerSecond, burst: limits.hookBurst };
const batchItems = 100;
const batchBytes = 8 * 1024 * 1024;
/** A bucket is full again after burst / rate seconds. */
const idleMs = 10 * 60 * 1_000;

/** Who is at the door. */
export interface Visitor {
  readonly hookId: string;
  /** undefined: the connection's address is not known. */
  readonly address: string | undefined;
}

export type Admission =
  | { readonly kind: 'admitted'; readonly hook: Hook | undefined }
  /** The hook is called too often, or too many deliveries from the address were refused. */
  | { readonly kind: 'too_often' };

/** A visitor with what it is counted under. */
interface Caller {
  readonly hookId: string;
  readonly hookKey: string;
  readonly addressKey: string | undefined;
}

/** What the inbox needs of PostgreSQL, in few statements however many deliveries arrive at once. */
export interface HookDoor {
  /** Finds the hook and counts the call, before the body is read. */
  admit(visitor: Visitor): Promise<Admission>;
  /** Counts a refused delivery against the address it came from. */
  noteRefusal(visitor: Visitor): Promise<void>;
  /** Resolves when the delivery is committed. */
  store(delivery: AcceptedDelivery): Promise<StoredDelivery>;
}

export function createHookDoor({ db, clock }: { db: Database; clock: Clock }): HookDoor {
  const admissions = createBatches<Caller, Admission>({
    run: (callers) => admitAll(db, { callers, at: clock() }),
    maxItems: batchItems,
    maxCalls: 1,
  });
  let isSweptUntil = 0;
  const refusals = createBatches<string, true>({
    async run(keys) {
      const at = clock();
      await takeTokens(db, { asks: countedBy(keys), rate, at });
      if (at.getTime() >= isSweptUntil) {
        isSweptUntil = at.getTime() + idleMs;
        await deleteIdleBuckets(db, new Date(at.getTime() - idleMs));
      }
      return keys.map(() => true);
    },
    maxItems: 1_000,
    maxCalls: 1,
  });
  const rows = createBatches<AcceptedDelivery, StoredDelivery>({
    run: (deliveries) => insertDeliveries(db, deliveries),
    maxItems: batchItems,
    maxCalls: 2,
    weigh: ({ body }) => body?.length ?? 0,
    maxWeight: batchBytes,
  });
  return {
    admit: ({ hookId, address }) =>
      admissions.add({
        hookId,
        hookKey: `hook:${hookId}`,
        addressKey: address === undefined ? address : keyOfAddress(address),
      }),
    async noteRefusal({ address }) {
      if (address !== undefined) await refusals.add(keyOfAddress(address));
    },
    store: (delivery) => rows.add(delivery),
  };
}

async function admitAll(
  db: Database,
  { callers, at }: { callers: readonly Caller[]; at: Date },
): Promise<readonly Admission[]> {
  const addresses = new Set(callers.flatMap(({ addressKey }) => (addressKey === undefined ? [] : [addressKey])));
  const [hooks, refused] = await Promise.all([
    findHooks(db, { hookIds: [...new Set(callers.map(({ hookId }) => hookId))], at }),
    addresses.size === 0 ? new Set<string>() : listEmptyBuckets(db, { keys: [...addresses], rate, at }),
  ]);
  const isRefused = ({ addressKey }: Caller) => addressKey !== undefined && refused.has(addressKey);
  // Addresses nobody has get no bucket of their own: they could be made up without end.
  const counted = callers.filter((caller) => hooks.has(caller.hookId) && !isRefused(caller));
  const left = new Map(await takeTokens(db, { asks: countedBy(counted.map(({ hookKey }) => hookKey)), rate, at }));
  return callers.map((caller) => {
    if (isRefused(caller)) return { kind: 'too_often' };
    const hook = hooks.get(caller.hookId);
    if (hook === undefined) return { kind: 'admitted', hook };
    const tokens = left.get(caller.hookKey) ?? 0;
    left.set(caller.hookKey, tokens - 1);
    return tokens > 0 ? { kind: 'admitted', hook } : { kind: 'too_often' };
  });
}

function countedBy(keys: readonly string[]): { key: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].map(([key, count]) => ({ key, count }));
}

function keyOfAddress(address: string): string {
  return `hook-refused:${callerNetwork(address)}`;
}
