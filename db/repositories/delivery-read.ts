import { sql } from 'kysely';
import { notFound } from '../../domain/errors.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { Database } from '../database.ts';
import type { DeliveryAttemptRow, DeliveryRow, NewDelivery } from '../tables/trigger.ts';

/** A delivery with every request made for it, the first one first. */
export interface DeliveryWithAttempts extends DeliveryRow {
  readonly attempts: readonly DeliveryAttemptRow[];
}

/** Throws 404 `delivery.not_found`. */
export async function getDelivery(db: Database, id: string): Promise<DeliveryWithAttempts> {
  const delivery = await db.selectFrom('delivery').selectAll().where('id', '=', id).executeTakeFirst();
  if (delivery === undefined) throw notFound('delivery', id);
  const [whole] = await withAttempts(db, [delivery]);
  return whole ?? { ...delivery, attempts: [] };
}

/** The deliveries of a trigger, newest first. */
export async function listDeliveries(
  db: Database,
  triggerId: string,
  { limit, after }: PageQuery,
): Promise<DeliveryWithAttempts[]> {
  let query = db.selectFrom('delivery').selectAll().where('trigger_id', '=', triggerId);
  if (after !== undefined) {
    query = query.where(sql<boolean>`(created_at, id) < (${new Date(after.key)}, ${after.id})`);
  }
  const deliveries = await query
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  return withAttempts(db, deliveries);
}

async function withAttempts(db: Database, deliveries: readonly DeliveryRow[]): Promise<DeliveryWithAttempts[]> {
  if (deliveries.length === 0) return [];
  const ids = deliveries.map((delivery) => delivery.id);
  const rows = await db
    .selectFrom('delivery_attempt')
    .selectAll()
    .where('delivery_id', 'in', ids)
    .orderBy('number')
    .execute();
  return deliveries.map((delivery) => ({
    ...delivery,
    attempts: rows.filter((row) => row.delivery_id === delivery.id),
  }));
}

/** What a new round of attempts begins with. */
export interface DeliveryResend {
  /** Counts from 1. */
  readonly resend: number;
  readonly firstAttempt: number;
}

/** Draws the next resend of a delivery that has ended and lets it wait; undefined when it has not ended or never was to be sent. */
export async function startResend(
  db: Database,
  { id, at }: { id: string; at: Date },
): Promise<DeliveryResend | undefined> {
  return db.transaction().execute(async (trx) => {
    const row = await trx
      .updateTable('delivery')
      .set((eb) => ({ resends: eb('resends', '+', 1), status: 'waiting', next_attempt_at: at, ended_at: null }))
      .where('id', '=', id)
      .where('status', 'in', ['delivered', 'failed', 'canceled'])
      .returning('resends')
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { last } = await trx
      .selectFrom('delivery_attempt')
      .select((eb) => eb.fn.max('number').as('last'))
      .where('delivery_id', '=', id)
      .executeTakeFirstOrThrow();
    return { resend: row.resends, firstAttempt: (last ?? 0) + 1 };
  });
}

/** Takes a resend back that could not be started, unless it began after all. */
export async function undoResend(
  db: Database,
  { id, status, ended_at: endedAt }: Pick<DeliveryRow, 'id' | 'status' | 'ended_at'>,
): Promise<void> {
  await db
    .updateTable('delivery')
    .set({ status, ended_at: endedAt, next_attempt_at: null })
    .where('id', '=', id)
    .where('status', '=', 'waiting')
    .execute();
}

export async function insertDelivery(db: Database, delivery: NewDelivery): Promise<void> {
  await db.insertInto('delivery').values(delivery).execute();
}

export async function deleteDelivery(db: Database, id: string): Promise<void> {
  await db.deleteFrom('delivery').where('id', '=', id).execute();
}
