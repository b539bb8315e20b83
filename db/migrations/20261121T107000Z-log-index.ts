import { sql } from 'kysely';
import type { Kysely } from 'kysely';

// `first_byte` is null where a segment was written before it was kept: the raw log is then read from its beginning.
const changes = [
  `alter table log_segment add column first_byte bigint, add column marks jsonb not null default '[]'`,
  `alter table build add column log_removed_at timestamptz`,
  `create index build_log_kept on build (ended_at) where log_removed_at is null and log_lines > 0`,
];
const reversal = [
  `drop index build_log_kept`,
  `alter table build drop column log_removed_at`,
  `alter table log_segment drop column first_byte, drop column marks`,
];

/** Where in the raw log a segment begins, which steps begin and end in it, and whether the log is still there. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of changes) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of reversal) await sql.raw(statement).execute(db);
}
