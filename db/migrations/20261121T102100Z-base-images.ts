import { sql } from 'kysely';
import type { Kysely } from 'kysely';

const steps = [
  `create table base_image (
    id text primary key, instance_id text not null references instance on delete cascade, repository text not null,
    tag text not null, name text not null, digest text not null, platforms jsonb not null, source text,
    made_at timestamptz, updated_at timestamptz not null, seen_at timestamptz not null,
    unique (instance_id, repository, tag))`,
  `create index base_image_name on base_image (name)`,
  // The last successful build of a rule, and what a schedule has started already.
  `create index build_rule_success on build (build_rule_id, queued_at desc) where status = 'success'`,
  `create index run_rule_newest on run (build_rule_id, queued_at desc)`,
];

/** Hosted base images as they stand, and what is looked up to rebuild what was made from older ones. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const step of steps) await sql.raw(step).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const step of [`drop index run_rule_newest`, `drop index build_rule_success`, `drop table base_image`])
    await sql.raw(step).execute(db);
}
