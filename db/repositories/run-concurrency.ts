import { sql } from 'kysely';
import type { RunOrigin } from '../../domain/chain.ts';
import type { Reason } from '../../domain/errors.ts';
import { liveRunStatuses } from '../../domain/record.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { recordRunEvent } from './record.ts';

/** The channel on which runs whose workflow is to be started now are announced; the payload is the run's id. */
export const startChannel = 'slipway_start';

/** What is one line of runs: a chain with a rule's ref, or with a repository's tag. Outside a chain there is none. */
export function concurrencyKey(
  { chainId, repositoryId }: { chainId: string | null; repositoryId: string },
  origin: Omit<Extract<RunOrigin, { kind: 'source' }>, 'buildId'> | Extract<RunOrigin, { kind: 'image' }>,
): string | null {
  if (chainId === null) return null;
  return origin.kind === 'source'
    ? `${chainId}/${origin.rule.id}/${origin.source.refType}/${origin.source.ref}`
    : `${chainId}/${repositoryId}/image/${origin.tag}`;
}

/** Starts and ends of one key take turns until the transaction ends; whoever comes second sees what the first did. */
export async function lockConcurrency(trx: DatabaseTransaction, key: string | null): Promise<void> {
  if (key === null) return;
  await sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`.execute(trx);
}

/** As `lockConcurrency`, for a run that is about to end; answers its key. The caller does not hold the run's row yet. */
export async function lockConcurrencyOf(trx: DatabaseTransaction, runId: string): Promise<string | null> {
  const run = await trx.selectFrom('run').select('concurrency_key').where('id', '=', runId).executeTakeFirst();
  const key = run?.concurrency_key ?? null;
  await lockConcurrency(trx, key);
  return key;
}

/** Lets the next waiting run of a key go once nothing before it lives; the caller holds the key's lock. */
export async function releaseNext(
  trx: DatabaseTransaction,
  { key, at }: { key: string | null; at: Date },
): Promise<void> {
  if (key === null) return;
  const live = await trx
    .selectFrom('run')
    .select(['id', 'is_waiting'])
    .where('concurrency_key', '=', key)
    .where('status', 'in', liveRunStatuses)
    .orderBy('order_no')
    .execute();
  const [next] = live;
  if (next === undefined || live.some((run) => !run.is_waiting)) return;
  await trx.updateTable('run').set({ is_waiting: false }).where('id', '=', next.id).execute();
  await recordRunEvent(trx, { runId: next.id, type: 'run.released', data: null, at });
  await announceStart(trx, next.id);
}

/** Has a process of the API start the run's workflow as soon as the transaction is committed. */
export async function announceStart(trx: DatabaseTransaction, runId: string): Promise<void> {
  await sql`select pg_notify(${startChannel}, ${runId})`.execute(trx);
}

/** Lets go every run that waits behind nothing, such as one whose predecessor was deleted; answers how many keys were looked at. */
export async function releaseStranded(db: Database, { at, limit }: { at: Date; limit: number }): Promise<number> {
  const stranded = await db
    .selectFrom('run')
    .select('concurrency_key as key')
    .distinct()
    .where('is_waiting', '=', true)
    .where('status', '=', 'queued')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('run as before')
            .select('before.id')
            .whereRef('before.concurrency_key', '=', 'run.concurrency_key')
            .where('before.status', 'in', liveRunStatuses)
            .where('before.is_waiting', '=', false),
        ),
      ),
    )
    .limit(limit)
    .execute();
  for (const { key } of stranded) {
    await db.transaction().execute(async (trx) => {
      await lockConcurrency(trx, key);
      await releaseNext(trx, { key, at });
    });
  }
  return stranded.length;
}

/** Why a run ended canceled: for the newer run it gave way to, or as `otherwise` says. */
export async function canceledReason(trx: DatabaseTransaction, runId: string, otherwise: Reason): Promise<Reason> {
  const newer = await trx
    .selectFrom('run')
    .innerJoin('run as newer', 'newer.id', 'run.superseded_by_id')
    .select('newer.number')
    .where('run.id', '=', runId)
    .executeTakeFirst();
  return newer === undefined ? otherwise : supersededBy(newer.number);
}

/** "Superseded by #12". */
export function supersededBy(number: number): Reason {
  return { code: 'superseded', params: { by: number }, text: `Superseded by #${number}` };
}

/** A run that ended before it could be stopped gave way to nobody: the link goes, both ways. */
export async function forgetSupersession(trx: DatabaseTransaction, runId: string): Promise<void> {
  await trx.updateTable('run').set({ supersedes_id: null }).where('supersedes_id', '=', runId).execute();
  await trx
    .updateTable('run')
    .set({ superseded_by_id: null })
    .where('id', '=', runId)
    .where('superseded_by_id', 'is not', null)
    .execute();
}
