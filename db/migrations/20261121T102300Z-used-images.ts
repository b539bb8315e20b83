import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/** Images that builds were made from and Slipway does not host: what they are now, wherever they stand. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table used_image (
    name text primary key, digest text not null, updated_at timestamptz not null, seen_at timestamptz not null)`.execute(
    db,
  );
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table used_image`.execute(db);
}
