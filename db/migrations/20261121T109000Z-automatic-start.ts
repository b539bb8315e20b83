import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/** What became of a rule's last start by the clock or for a base image, told on the rule. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table build_rule add column last_automatic_start jsonb`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table build_rule drop column last_automatic_start`.execute(db);
}
