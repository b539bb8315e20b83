import type { Database } from '../database.ts';
import type { NewSourceAuthorization, SourceAuthorizationRow } from '../tables/source.ts';

/** Notes that somebody is on the way to a host's consent page; what came too late goes. */
export async function insertSourceAuthorization(
  db: Database,
  authorization: NewSourceAuthorization,
  { now }: { now: Date },
): Promise<void> {
  await db.deleteFrom('source_authorization').where('expires_at', '<=', now).execute();
  await db.insertInto('source_authorization').values(authorization).execute();
}

/** Uses a state up: it is answered once, to the one who began, within its time. */
export async function takeSourceAuthorization(
  db: Database,
  { stateHash, actor, now }: { stateHash: string; actor: string; now: Date },
): Promise<SourceAuthorizationRow | undefined> {
  return db
    .deleteFrom('source_authorization')
    .where('state_hash', '=', stateHash)
    .where('actor', '=', actor)
    .where('expires_at', '>', now)
    .returningAll()
    .executeTakeFirst();
}
