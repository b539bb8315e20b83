import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/** What people call a source account: one instance may have several of one host. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`alter table source_account add column name text`).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`alter table source_account drop column name`).execute(db);
}
