import { sql, type Kysely } from 'kysely';

const statements = [
  `alter table build add column is_partial boolean not null default false`,
  `alter table build_architecture add column is_reused boolean not null default false`,
  `alter table source_binding add column default_branch text, add column default_branch_at timestamptz`,
  `create table build_cache (
    repository_id text not null references repository on delete cascade, branch text not null, platform text not null,
    ref text not null, size_bytes bigint not null, hits bigint not null, misses bigint not null,
    last_used_at timestamptz not null, primary key (repository_id, branch, platform))`,
  `create table build_base_image (
    build_id text not null references build on delete cascade, name text not null, digest text not null,
    primary key (build_id, name))`,
  `create index build_base_image_name on build_base_image (name)`,
];

/** Remote caches, partial builds, and what a build started from. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of [
    `drop table build_base_image`,
    `drop table build_cache`,
    `alter table source_binding drop column default_branch, drop column default_branch_at`,
    `alter table build_architecture drop column is_reused`,
    `alter table build drop column is_partial`,
  ])
    await sql.raw(statement).execute(db);
}
