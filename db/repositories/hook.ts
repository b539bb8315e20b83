import { sql } from 'kysely';
import type { SourceHost } from '../../domain/source.ts';
import type { Database } from '../database.ts';
import type { SecretRow } from '../tables/secret.ts';
import type { NewInbox } from '../tables/source.ts';
import { inboxChannel } from './inbox.ts';

/** What a delivery is checked with: the binding behind a hook's address and the sealed secrets its signature may be made with. */
export interface Hook {
  readonly repositoryId: string;
  readonly host: SourceHost;
  /** Two for a while after the secret was changed. */
  readonly secrets: readonly SecretRow[];
}

/** The hooks of some addresses, by address; one that nobody has is left out. One query, so that it takes as long as a known one. */
export async function findHooks(
  db: Database,
  { hookIds, at }: { hookIds: readonly string[]; at: Date },
): Promise<ReadonlyMap<string, Hook>> {
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
    .where(sql<boolean>`source_binding.hook_id = any(${[...hookIds]})`)
    .select(['source_binding.hook_id', 'source_binding.repository_id', 'source_account.host'])
    .selectAll('secret')
    .execute();
  const hooks = new Map<string, Hook>();
  for (const { hook_id: hookId, repository_id: repositoryId, host, ...secret } of rows)
    hooks.set(hookId, { repositoryId, host, secrets: [...(hooks.get(hookId)?.secrets ?? []), secret] });
  return hooks;
}

/** A verified delivery about to be stored. */
export type AcceptedDelivery = Pick<
  NewInbox,
  'hook_id' | 'delivery_id' | 'repository_id' | 'host' | 'event' | 'body' | 'received_at'
>;

/** A stored delivery; `isDuplicate`: it was there before, or stands before this one in the same list. */
export interface StoredDelivery {
  readonly id: number;
  readonly isDuplicate: boolean;
}

/**
 * Stores deliveries and answers for each, in order; the unique index on (hook, delivery) is the truth about duplicates. One
 * statement and one commit for all of them.
 */
export async function insertDeliveries(
  db: Database,
  deliveries: readonly AcceptedDelivery[],
): Promise<readonly StoredDelivery[]> {
  const inserted = await db
    .with('stored', (cte) =>
      cte
        .insertInto('inbox')
        .values(deliveries.map((delivery) => ({ ...delivery, state: 'pending' as const })))
        .onConflict((conflict) => conflict.columns(['hook_id', 'delivery_id']).doNothing())
        .returning(['id', 'hook_id', 'delivery_id']),
    )
    .selectFrom('stored')
    .select(['id', 'hook_id', 'delivery_id'])
    // In the same statement, so that the notice goes out with the commit.
    .select(sql`(select pg_notify(${inboxChannel}, ''))`.as('notice'))
    .execute();
  const fresh = new Map(inserted.map((row) => [keyOf(row), row.id]));
  const missing = deliveries.filter((delivery) => !fresh.has(keyOf(delivery)));
  const known = missing.length === 0 ? new Map<string, number>() : await findDeliveries(db, missing);
  return deliveries.map((delivery) => {
    const key = keyOf(delivery);
    const isDuplicate = !fresh.has(key);
    const id = fresh.get(key) ?? known.get(key);
    if (id === undefined) throw new Error('A delivery was neither stored nor there before.');
    if (!isDuplicate) {
      fresh.delete(key);
      known.set(key, id);
    }
    return { id, isDuplicate };
  });
}

async function findDeliveries(db: Database, deliveries: readonly AcceptedDelivery[]): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('inbox')
    .select(['id', 'hook_id', 'delivery_id'])
    .where(
      sql<boolean>`(hook_id, delivery_id) in (select * from unnest(${deliveries.map(({ hook_id: id }) => id)}::text[], ${deliveries.map(({ delivery_id: id }) => id)}::text[]))`,
    )
    .execute();
  return new Map(rows.map((row) => [keyOf(row), row.id]));
}

function keyOf({ hook_id, delivery_id }: Pick<AcceptedDelivery, 'hook_id' | 'delivery_id'>): string {
  return `${hook_id} ${delivery_id}`;
}
