import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { sql } from 'kysely';
import type { PageQuery } from '../../domain/page.ts';
import type { InboxFilter, InboxOutcome, RunSource, SourceChangeOutcome } from '../../domain/source.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { InboxRow, NewInbox } from '../tables/source.ts';

/** The channel on which new deliveries are announced; the payload is empty. */
export const inboxChannel = 'slipway_inbox';

/** A pending delivery with the names its payload is compared with; those are null once the source was unbound. */
export type PendingDelivery = Omit<InboxRow, 'outcome'> & {
  readonly code_namespace: string | null;
  readonly code_repository: string | null;
};

/** Stores an accepted delivery once; the unique index on (hook, delivery) is the truth about duplicates. */
export async function insertInbox(
  db: Database,
  delivery: NewInbox,
): Promise<{ readonly id: number; readonly isDuplicate: boolean }> {
  return db.transaction().execute(async (trx) => {
    const inserted = await trx
      .insertInto('inbox')
      .values(delivery)
      .onConflict((conflict) => conflict.columns(['hook_id', 'delivery_id']).doNothing())
      .returning('id')
      .executeTakeFirst();
    if (inserted === undefined) return { id: await getInboxId(trx, delivery), isDuplicate: true };
    await sql`select pg_notify(${inboxChannel}, '')`.execute(trx);
    return { id: inserted.id, isDuplicate: false };
  });
}

/** Which of these deliveries of a hook were taken. */
export async function listKnownDeliveries(
  db: Database,
  { hookId, deliveryIds }: { hookId: string; deliveryIds: readonly string[] },
): Promise<ReadonlySet<string>> {
  const rows = await db
    .selectFrom('inbox')
    .select('delivery_id')
    .where('hook_id', '=', hookId)
    .where('delivery_id', '=', sql<string>`any(${deliveryIds})`)
    .execute();
  return new Set(rows.map((row) => row.delivery_id));
}

/** A ref whose commit on its host is not the one last seen: a push nobody told of. */
export interface MissedPush extends Pick<RunSource, 'ref' | 'refType' | 'commit'> {
  readonly repositoryId: string;
  readonly hookId: string;
  /** The commit last seen, null for a ref never seen or deleted. */
  readonly before: string | null;
  /** Of the ref as last seen; with it a ref that comes back to an old commit is a delivery of its own. */
  readonly orderNo: number;
}

/**
 * Puts a missed push into the inbox, in the form of a generic delivery and with the cause `catch_up`; the dispatcher handles it as
 * any other (docs/product.md, section 5). Found again before it was handled it stays the same delivery.
 */
export async function insertCatchUp(
  db: Database,
  { repositoryId, hookId, ref, refType, commit, before, orderNo }: MissedPush,
): Promise<{ readonly id: number; readonly isDuplicate: boolean }> {
  const fullRef = `refs/${refType === 'tag' ? 'tags' : 'heads'}/${ref}`;
  const push = { ref: fullRef, before: before ?? undefined, after: commit };
  return insertInbox(db, {
    hook_id: hookId,
    delivery_id: `poll:${fullRef.slice('refs/'.length)}:${commit}:${orderNo}`,
    repository_id: repositoryId,
    host: 'git',
    event: 'catch_up',
    cause: 'catch_up',
    body: await promisify(gzip)(JSON.stringify(push)),
    state: 'pending',
    outcome: null,
    handled_at: null,
  });
}

async function getInboxId(
  trx: DatabaseTransaction,
  { hook_id, delivery_id }: Pick<NewInbox, 'hook_id' | 'delivery_id'>,
): Promise<number> {
  const { id } = await trx
    .selectFrom('inbox')
    .select('id')
    .where('hook_id', '=', hook_id)
    .where('delivery_id', '=', delivery_id)
    .executeTakeFirstOrThrow();
  return id;
}

/**
 * The next delivery of every repository that has one, oldest first: order numbers follow the order of acceptance, so the others wait
 * for it. `except` are ids that failed a moment ago or are in hand. Goes from repository to repository by the index: the backlog of
 * one costs nothing.
 */
export async function listInboxHeads(
  db: Database,
  { except, limit }: { except: readonly number[]; limit: number },
): Promise<readonly Pick<InboxRow, 'id'>[]> {
  const { rows } = await sql<{ id: number }>`
    with recursive head as (
      (select repository_id, id from inbox where state = 'pending' order by repository_id, id limit 1)
      union all
      select next.repository_id, next.id from head, lateral (
        select repository_id, id from inbox
        where state = 'pending' and repository_id > head.repository_id
        order by repository_id, id limit 1) as next
    )
    select id from head where id <> all (${[...except]}::bigint[]) order by id limit ${limit}`.execute(db);
  return rows;
}

/** A pending delivery as it is, without a lock; undefined once it was handled. */
export async function findPendingDelivery(db: Database, id: number): Promise<PendingDelivery | undefined> {
  return pending(db, id).executeTakeFirst();
}

/**
 * Locks a pending delivery for this transaction, or answers undefined: it was handled, another process holds it, or an earlier
 * one of its repository is pending still.
 */
export async function claimInbox(trx: DatabaseTransaction, id: number): Promise<PendingDelivery | undefined> {
  return pending(trx, id)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('inbox as earlier')
            .select('earlier.id')
            .whereRef('earlier.repository_id', '=', 'inbox.repository_id')
            .whereRef('earlier.id', '<', 'inbox.id')
            .where('earlier.state', '=', 'pending'),
        ),
      ),
    )
    .forUpdate('inbox')
    .skipLocked()
    .executeTakeFirst();
}

function pending(db: Database | DatabaseTransaction, id: number) {
  return db
    .selectFrom('inbox')
    .leftJoin('source_binding', 'source_binding.repository_id', 'inbox.repository_id')
    .where('inbox.id', '=', id)
    .where('inbox.state', '=', 'pending')
    .select(['source_binding.code_namespace', 'source_binding.code_repository'])
    .selectAll('inbox');
}

/** What became of a delivery and of each change it told. */
export interface EndedDelivery {
  readonly id: number;
  readonly outcome: InboxOutcome;
  readonly changes?: readonly SourceChangeOutcome[];
  readonly at: Date;
  readonly isBodyKept?: boolean;
}

/** Notes what became of a delivery. Its body goes, unless somebody will have to look at it. */
export async function endInbox(
  db: Database | DatabaseTransaction,
  { id, outcome, changes = [], at, isBodyKept = false }: EndedDelivery,
): Promise<void> {
  await db
    .updateTable('inbox')
    .set({
      state: 'handled',
      outcome: JSON.stringify(outcome),
      changes: changes.length === 0 ? null : JSON.stringify(changes),
      handled_at: at,
      ...(isBodyKept ? {} : { body: null }),
    })
    .where('id', '=', id)
    .execute();
}

/** Counts an attempt to handle a delivery that failed through a defect of ours; answers how many there were. */
export async function countInboxAttempt(db: Database, id: number): Promise<number> {
  const row = await db
    .updateTable('inbox')
    .set((eb) => ({ attempts: eb('attempts', '+', 1) }))
    .where('id', '=', id)
    .returning('attempts')
    .executeTakeFirst();
  return row?.attempts ?? 0;
}

/** A repository's deliveries, newest first, without bodies. */
export async function listInbox(
  db: Database,
  { repositoryId, outcome }: { repositoryId: string; outcome?: InboxFilter | undefined },
  { limit, after }: PageQuery,
) {
  let query = db
    .selectFrom('inbox')
    .select(['id', 'delivery_id', 'event', 'host', 'state', 'outcome', 'changes', 'received_at', 'handled_at'])
    .where('repository_id', '=', repositoryId);
  if (outcome === 'pending') query = query.where('state', '=', 'pending');
  else if (outcome !== undefined) query = query.where(sql<boolean>`outcome ->> 'kind' = ${outcome}`);
  if (after !== undefined) query = query.where('id', '<', Number(after.id));
  return query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
}
