import type { Database } from '../database.ts';
import type { IdempotencyKeyRow } from '../tables/session.ts';

export interface IdempotencyScope {
  readonly actor: string;
  readonly path: string;
  readonly key: string;
}

/**
 * Takes a key for a request: undefined when it is the first with it (or the earlier one is too old to count), else the row of
 * the earlier request.
 */
export async function claimIdempotencyKey(
  db: Database,
  scope: IdempotencyScope,
  {
    bodySha256,
    now,
    keptSince,
    abandonedSince,
  }: { bodySha256: string; now: Date; keptSince: Date; abandonedSince: Date },
): Promise<IdempotencyKeyRow | undefined> {
  const claimed = await db
    .insertInto('idempotency_key')
    .values({ ...scope, body_sha256: bodySha256, status: null, answer: null, headers: null, created_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(['actor', 'path', 'key'])
        .doUpdateSet({ body_sha256: bodySha256, status: null, answer: null, headers: null, created_at: now })
        .where((where) =>
          where.or([
            where('idempotency_key.created_at', '<', keptSince),
            where.and([
              where('idempotency_key.status', 'is', null),
              where('idempotency_key.created_at', '<', abandonedSince),
            ]),
          ]),
        ),
    )
    .returning('key')
    .executeTakeFirst();
  if (claimed !== undefined) return undefined;
  return db
    .selectFrom('idempotency_key')
    .selectAll()
    .where('actor', '=', scope.actor)
    .where('path', '=', scope.path)
    .where('key', '=', scope.key)
    .executeTakeFirst();
}

/** Keeps the answer of a claimed key. */
export async function storeIdempotentAnswer(
  db: Database,
  scope: IdempotencyScope,
  { status, answer, headers }: { status: number; answer: string; headers: Readonly<Record<string, string>> },
): Promise<void> {
  await db
    .updateTable('idempotency_key')
    .set({ status, answer, headers: JSON.stringify(headers) })
    .where('actor', '=', scope.actor)
    .where('path', '=', scope.path)
    .where('key', '=', scope.key)
    .execute();
}

/** Lets a key go whose request failed through us, so that it can be tried again. */
export async function releaseIdempotencyKey(db: Database, scope: IdempotencyScope): Promise<void> {
  await db
    .deleteFrom('idempotency_key')
    .where('actor', '=', scope.actor)
    .where('path', '=', scope.path)
    .where('key', '=', scope.key)
    .execute();
}

/** Removes keys past their time. */
export async function deleteOldIdempotencyKeys(db: Database, keptSince: Date): Promise<void> {
  await db.deleteFrom('idempotency_key').where('created_at', '<', keptSince).execute();
}
