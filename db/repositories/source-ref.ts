import { sql } from 'kysely';
import type { DifferingRef, SeenRef } from '../../domain/reconcile.ts';
import type { RunSource } from '../../domain/source.ts';
import type { Database, DatabaseTransaction } from '../database.ts';

/** A ref of a repository's code. */
type Ref = Pick<RunSource, 'ref' | 'refType'>;

const refKey = ({ ref, refType }: Ref) => `${refType === 'tag' ? 'tags' : 'heads'}/${ref}`;

/**
 * Locks a ref for this transaction and answers its commit as last seen. While the lock is held every order number drawn for the
 * ref is greater than those before it (docs/product.md, section 12, "Tag fence").
 */
export async function lockSourceRef(
  trx: DatabaseTransaction,
  { repositoryId, ...ref }: Ref & { repositoryId: string },
): Promise<{ readonly tip: string | null }> {
  const key = refKey(ref);
  await trx
    .insertInto('source_ref')
    .values({ repository_id: repositoryId, ref: key, tip: null, order_no: 0 })
    .onConflict((conflict) => conflict.columns(['repository_id', 'ref']).doNothing())
    .execute();
  return trx
    .selectFrom('source_ref')
    .select('tip')
    .where('repository_id', '=', repositoryId)
    .where('ref', '=', key)
    .forUpdate()
    .executeTakeFirstOrThrow();
}

/** Draws the ref's next order number and notes its commit, if one was just seen; the caller holds the ref's lock. */
export async function advanceSourceRef(
  trx: DatabaseTransaction,
  { repositoryId, tip, ...ref }: Ref & { repositoryId: string; tip?: string },
): Promise<number> {
  const orderNo = await drawOrderNo(trx);
  await trx
    .updateTable('source_ref')
    .set({ order_no: orderNo, ...(tip === undefined ? {} : { tip }) })
    .where('repository_id', '=', repositoryId)
    .where('ref', '=', refKey(ref))
    .execute();
  return orderNo;
}

/** Forgets a deleted ref's commit: the same commit pushed again is a new event. */
export async function clearSourceRef(
  trx: DatabaseTransaction,
  { repositoryId, ...ref }: Ref & { repositoryId: string },
): Promise<void> {
  await trx
    .updateTable('source_ref')
    .set({ tip: null })
    .where('repository_id', '=', repositoryId)
    .where('ref', '=', refKey(ref))
    .execute();
}

/** Every ref of a repository's code as last seen. */
export async function listSeenRefs(db: Database | DatabaseTransaction, repositoryId: string): Promise<SeenRef[]> {
  const rows = await db
    .selectFrom('source_ref')
    .select(['ref', 'tip', 'order_no'])
    .where('repository_id', '=', repositoryId)
    .execute();
  return rows.map(({ ref, tip, order_no: orderNo }) => ({ ...refOfKey(ref), tip, orderNo }));
}

function refOfKey(key: string): Ref {
  const slash = key.indexOf('/');
  return { ref: key.slice(slash + 1), refType: key.slice(0, slash) === 'tags' ? 'tag' : 'branch' };
}

/** Takes note of refs nothing is built for; one that somebody told of since it was read stays as told. */
export async function noteRefs(
  trx: DatabaseTransaction,
  { repositoryId, noted, gone }: { repositoryId: string; noted: readonly DifferingRef[]; gone: readonly SeenRef[] },
): Promise<void> {
  await sql`
    insert into source_ref (repository_id, ref, tip, order_no)
    select ${repositoryId}, ref, tip, order_no
    from unnest(${noted.map(refKey)}::text[], ${noted.map(({ commit }) => commit)}::text[],
      ${noted.map(({ orderNo }) => orderNo)}::bigint[]) as found (ref, tip, order_no)
    on conflict (repository_id, ref) do update set tip = excluded.tip
    where source_ref.order_no = excluded.order_no`.execute(trx);
  await sql`
    update source_ref set tip = null
    from unnest(${gone.map(refKey)}::text[], ${gone.map(({ orderNo }) => orderNo)}::bigint[]) as lost (ref, order_no)
    where source_ref.repository_id = ${repositoryId} and source_ref.ref = lost.ref
      and source_ref.order_no = lost.order_no`.execute(trx);
}

/** Forgets what the refs of a repository were: it is bound to other code, whose refs are others of the same names. */
export async function forgetRefs(db: Database | DatabaseTransaction, repositoryId: string): Promise<void> {
  await db.updateTable('source_ref').set({ tip: null }).where('repository_id', '=', repositoryId).execute();
}

/** The next number of the one order in which starts are told apart, for starts without a ref. */
export async function drawOrderNo(trx: DatabaseTransaction): Promise<number> {
  const { rows } = await sql<{ order_no: number }>`select nextval('order_no') as order_no`.execute(trx);
  const orderNo = rows[0]?.order_no;
  if (orderNo === undefined) throw new Error('nextval answered no row');
  return orderNo;
}
