import { sql } from 'kysely';
import type { Kysely } from 'kysely';

const statements = [
  `alter table inbox add column changes jsonb`,
  // Which delivery is a repository's next must not cost more the longer its ledger grows.
  `create index inbox_pending_of_repository on inbox (repository_id, id) where state = 'pending'`,
  // Unlogged: a crash of the server may empty the buckets, which costs nobody a delivery.
  `create unlogged table rate_bucket (
    key text primary key, tokens double precision not null, granted integer not null, at timestamptz not null)`,
  `create index rate_bucket_at on rate_bucket (at)`,
];

/** What became of each change of a delivery, a repository's next delivery at one look, and how often who may call. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table rate_bucket`.execute(db);
  await sql`drop index inbox_pending_of_repository`.execute(db);
  await sql`alter table inbox drop column changes`.execute(db);
}
