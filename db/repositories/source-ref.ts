import { sql } from 'kysely';
import type { RunSource } from '../../domain/source.ts';
import type { DatabaseTransaction } from '../database.ts';

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

/** The next number of the one order in which starts are told apart, for starts without a ref. */
export async function drawOrderNo(trx: DatabaseTransaction): Promise<number> {
  const { rows } = await sql<{ order_no: number }>`select nextval('order_no') as order_no`.execute(trx);
  const orderNo = rows[0]?.order_no;
  if (orderNo === undefined) throw new Error('nextval answered no row');
  return orderNo;
}
