import { concurrencyOf } from '../../domain/chain.ts';
import type { Concurrency } from '../../domain/chain.ts';
import { liveRunStatuses } from '../../domain/record.ts';
import type { DatabaseTransaction } from '../database.ts';
import type { RunRow } from '../tables/record.ts';
import { recordRunEvent } from './record.ts';
import { endCanceled } from './run-cancel.ts';
import { concurrencyKey, lockConcurrency, supersededBy } from './run-concurrency.ts';
import type { RunStart } from './run-parts.ts';

type LiveRun = Pick<RunRow, 'id' | 'is_waiting' | 'status'>;

/** Where a new run stands among those of its key (docs/product.md, section 8, "concurrency"). */
export interface RunPlace {
  readonly key: string | null;
  /** It waits for the run before it to end. */
  readonly isWaiting: boolean;
  /** Runs that give way to it, the newest first. */
  readonly superseded: readonly LiveRun[];
}

/** Decides a new run's place under the key's lock, which is held until the transaction ends. */
export async function placeOf(
  trx: DatabaseTransaction,
  { chain, repository, origin, failure }: Pick<RunStart, 'chain' | 'repository' | 'origin' | 'failure'>,
): Promise<RunPlace> {
  const key = concurrencyKey({ chainId: chain.id, repositoryId: repository.id }, origin);
  // What ends as soon as it is inserted takes nobody's place.
  if (key === null || failure !== undefined) return { key, isWaiting: false, superseded: [] };
  await lockConcurrency(trx, key);
  const live = await trx
    .selectFrom('run')
    .select(['id', 'is_waiting', 'status'])
    .where('concurrency_key', '=', key)
    .where('status', 'in', liveRunStatuses)
    .where('superseded_by_id', 'is', null)
    .orderBy('order_no', 'desc')
    .execute();
  const mode = concurrencyOf(chain, origin.kind === 'source' ? origin.source.refType : 'image');
  return { key, isWaiting: mode === 'queue' && (await isTaken(trx, key)), superseded: live.filter(givesWay[mode]) };
}

/** One that is being canceled still does something: the next waits for its end too. */
async function isTaken(trx: DatabaseTransaction, key: string): Promise<boolean> {
  const run = await trx
    .selectFrom('run')
    .select('id')
    .where('concurrency_key', '=', key)
    .where('status', 'in', liveRunStatuses)
    .where('is_waiting', '=', false)
    .limit(1)
    .executeTakeFirst();
  return run !== undefined;
}

const givesWay: Record<Concurrency, (run: LiveRun) => boolean> = {
  supersede: ({ status }) => status !== 'canceling',
  queue: ({ is_waiting: isWaiting }) => isWaiting,
  parallel: () => false,
};

/**
 * Links the runs that give way to the new one. One that waits has no workflow and ends here; the others are canceled after the
 * commit, by whoever starts the new run or by the sweeper.
 */
export async function supersede(
  trx: DatabaseTransaction,
  { superseded }: RunPlace,
  { id, number, at }: { id: string; number: number; at: Date },
): Promise<void> {
  const reason = supersededBy(number);
  for (const older of superseded) {
    await trx.updateTable('run').set({ superseded_by_id: id }).where('id', '=', older.id).execute();
    if (older.is_waiting) await endCanceled(trx, { runId: older.id, actor: null, reason, at });
    else await recordRunEvent(trx, { runId: older.id, type: 'run.superseded', data: { by: id, reason }, at });
  }
}
