import type { Database } from '../database.ts';
import type { NewSession, SessionRow } from '../tables/session.ts';

export async function insertSession(db: Database, session: NewSession): Promise<void> {
  await db.insertInto('session').values(session).execute();
}

/** The session of a cookie, unless it has been idle or old for too long. */
export async function findSession(
  db: Database,
  { tokenHash, createdAfter, seenAfter }: { tokenHash: string; createdAfter: Date; seenAfter: Date },
): Promise<SessionRow | undefined> {
  return db
    .selectFrom('session')
    .selectAll()
    .where('token_hash', '=', tokenHash)
    .where('created_at', '>', createdAfter)
    .where('last_seen_at', '>', seenAfter)
    .executeTakeFirst();
}

export async function touchSession(db: Database, { tokenHash, at }: { tokenHash: string; at: Date }): Promise<void> {
  await db.updateTable('session').set({ last_seen_at: at }).where('token_hash', '=', tokenHash).execute();
}

export async function deleteSession(db: Database, tokenHash: string): Promise<void> {
  await db.deleteFrom('session').where('token_hash', '=', tokenHash).execute();
}

/** Removes what no longer logs anyone in. */
export async function deleteStaleSessions(
  db: Database,
  { createdBefore, seenBefore, now }: { createdBefore: Date; seenBefore: Date; now: Date },
): Promise<void> {
  await db
    .deleteFrom('session')
    .where((where) => where.or([where('created_at', '<=', createdBefore), where('last_seen_at', '<=', seenBefore)]))
    .execute();
  await db.deleteFrom('login_code').where('expires_at', '<=', now).execute();
}

export async function insertLoginCode(
  db: Database,
  { codeHash, expiresAt }: { codeHash: string; expiresAt: Date },
): Promise<void> {
  await db.insertInto('login_code').values({ code_hash: codeHash, expires_at: expiresAt }).execute();
}

/** Uses a login code up; false when it is unknown, used already or too old. */
export async function takeLoginCode(
  db: Database,
  { codeHash, now }: { codeHash: string; now: Date },
): Promise<boolean> {
  const taken = await db
    .deleteFrom('login_code')
    .where('code_hash', '=', codeHash)
    .where('expires_at', '>', now)
    .returning('code_hash')
    .executeTakeFirst();
  return taken !== undefined;
}
