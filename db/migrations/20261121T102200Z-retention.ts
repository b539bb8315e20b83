import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/** What is looked up once a day to be removed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const index of [
    'run_ended on run (ended_at)',
    'delivery_ended on delivery (ended_at)',
    'inbox_kept_body on inbox (handled_at) where body is not null',
    'scan_report_kept on scan_report (ended_at) where report_key is not null or sbom_key is not null',
  ])
    await sql.raw(`create index ${index}`).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const index of ['run_ended', 'delivery_ended', 'inbox_kept_body', 'scan_report_kept'])
    await sql.raw(`drop index ${index}`).execute(db);
}
