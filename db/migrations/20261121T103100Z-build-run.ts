import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/** Builds are found by their run with every step that ends, and counted by it in the waiting line. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index build_run on build (run_id)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index build_run`.execute(db);
}
