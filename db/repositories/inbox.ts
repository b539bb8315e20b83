import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { sql } from 'kysely';
import type { PageQuery } from '../../domain/page.ts';
import type { InboxOutcome, RunSource, SourceHost } from '../../domain/source.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { InboxRow, NewInbox } from '../tables/source.ts';
import type { SecretRow } from '../tables/secret.ts';

/** The channel on which new deliveries are announced; the payload is empty. */
export const inboxChannel = 'slipway_inbox';

/** What a delivery is checked with: the binding behind a hook's address and the sealed secrets its signature may be made with. */
export interface Hook {
  readonly repositoryId: string;
  readonly host: SourceHost;
  /** Two for a while after the secret was changed. */
  readonly secrets: readonly SecretRow[];
}

/** A pending delivery with the names its payload is compared with; those are null once the source was unbound. */
export type PendingDelivery = Omit<InboxRow, 'outcome'> & {
  readonly code_namespace: string | null;
  readonly code_repository: string | null;
};

/** The hook of an address, or undefined. One query, so that an unknown address takes as long as a known one. */
export async function findHook(db: Database, hookId: string, at: Date): Promise<Hook | undefined> {
  const rows = await db
    .selectFrom('source_binding')
    .innerJoin('source_account', 'source_account.id', 'source_binding.source_account_id')
    .innerJoin('secret', (join) =>
      join.on((eb) =>
        eb.or([
          eb('secret.id', '=', eb.ref('source_binding.hook_secret_ref')),
          eb.and([
            eb('secret.id', '=', eb.ref('source_binding.previous_hook_secret_ref')),
            eb('source_binding.previous_hook_secret_until', '>', at),
          ]),
        ]),
      ),
    )
    .where('source_binding.hook_id', '=', hookId)
    .select(['source_binding.repository_id', 'source_account.host'])
    .selectAll('secret')
    .execute();
  const [first] = rows;
  if (first === undefined) return undefined;
  const secrets = rows.map(({ repository_id: _repository, host: _host, ...secret }) => secret);
  return { repositoryId: first.repository_id, host: first.host, secrets };
}

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
 * Locks the next pending delivery for this transaction. A delivery waits while an earlier one of its repository is pending, also
 * while another process holds that one: order numbers follow the order of acceptance. `delayed` are ids that failed a moment ago.
 */
export async function claimInbox(
  trx: DatabaseTransaction,
  { delayed }: { delayed: readonly number[] },
): Promise<PendingDelivery | undefined> {
  return trx
    .selectFrom('inbox')
    .leftJoin('source_binding', 'source_binding.repository_id', 'inbox.repository_id')
    .where('inbox.state', '=', 'pending')
    .$if(delayed.length > 0, (query) => query.where('inbox.id', 'not in', delayed))
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
    .orderBy('inbox.id')
    .limit(1)
    .forUpdate('inbox')
    .skipLocked()
    .select(['source_binding.code_namespace', 'source_binding.code_repository'])
    .selectAll('inbox')
    .executeTakeFirst();
}

/** Notes what became of a delivery. Its body goes, unless somebody will have to look at it. */
export async function endInbox(
  db: Database | DatabaseTransaction,
  { id, outcome, at, isBodyKept = false }: { id: number; outcome: InboxOutcome; at: Date; isBodyKept?: boolean },
): Promise<void> {
  await db
    .updateTable('inbox')
    .set({
      state: 'handled',
      outcome: JSON.stringify(outcome),
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
export async function listInbox(db: Database, repositoryId: string, { limit, after }: PageQuery) {
  let query = db
    .selectFrom('inbox')
    .select(['id', 'delivery_id', 'event', 'host', 'state', 'outcome', 'received_at', 'handled_at'])
    .where('repository_id', '=', repositoryId);
  if (after !== undefined) query = query.where('id', '<', Number(after.id));
  return query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
}
