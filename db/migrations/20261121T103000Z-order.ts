import { sql } from 'kysely';
import type { Kysely } from 'kysely';

const steps = [
  // What of a chain and a ref (or a tag) is one line of runs, and who waits in it or gave way.
  `alter table run add column concurrency_key text, add column is_waiting boolean not null default false,
    add column priority integer not null default 3,
    add column superseded_by_id text references run on delete set null,
    add column supersedes_id text references run on delete set null`,
  `create index run_concurrency on run (concurrency_key) where status in ('queued', 'running', 'canceling')`,
  `create index run_superseded_by on run (superseded_by_id) where superseded_by_id is not null`,
  `create index run_supersedes on run (supersedes_id) where supersedes_id is not null`,
  `create index run_live_namespace on run (namespace_id) where ended_at is null`,
  // A run on its way out must not keep the same commit from being built again.
  `drop index run_live_build`,
  `create unique index run_live_build on run (build_rule_id, ref_type, ref, commit)
    where build_rule_id is not null and status in ('queued', 'running') and superseded_by_id is null`,
  `update run set input = jsonb_set(input, '{chain,concurrency}', 'null') where not input -> 'chain' ? 'concurrency'`,
  `update run set input = jsonb_set(input, '{origin,buildRegion}', 'null')
    where input #>> '{origin,kind}' = 'source' and not input -> 'origin' ? 'buildRegion'`,
  `update chain set definition = definition || '{"concurrency": null}' where not definition ? 'concurrency'`,
  `update chain_version set definition = definition || '{"concurrency": null}' where not definition ? 'concurrency'`,
  `alter table repository add column build_region text`,
  // The region whose workers build; the instance's own unless the repository says otherwise.
  `alter table build add column region text not null default ''`,
  `update build set region = instance.region from repository, namespace, instance
    where repository.id = build.repository_id and namespace.id = repository.namespace_id
      and instance.id = namespace.instance_id`,
  `create index build_open on build (region, queued_at) where ended_at is null`,
  `create table build_worker (
    id text not null, region text not null, platforms jsonb not null, slots integer not null, isolation text not null,
    seen_at timestamptz not null, primary key (id, region))`,
  `create table tag_move (
    id bigint generated always as identity primary key,
    repository_id text not null references repository on delete cascade, tag text not null, sequence integer not null,
    order_no bigint not null, digest text not null, run_id text not null, moved_at timestamptz not null,
    unique (repository_id, tag, sequence, run_id, digest))`,
  // Tags an older run may not move any more, and the newer run that holds them.
  `create table tag_fence (
    run_id text not null references run on delete cascade, tag text not null,
    by_run_id text not null references run on delete cascade, primary key (run_id, tag))`,
  `create index tag_fence_by on tag_fence (by_run_id)`,
];

/** Supersede, queue and parallel; build workers and regions; the history of tags. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const step of steps) await sql.raw(step).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const step of [
    `drop table tag_fence`,
    `drop table tag_move`,
    `drop table build_worker`,
    `drop index build_open`,
    `alter table build drop column region`,
    `alter table repository drop column build_region`,
    `update chain_version set definition = definition - 'concurrency'`,
    `update chain set definition = definition - 'concurrency'`,
    `drop index run_live_build`,
    `create unique index run_live_build on run (build_rule_id, ref_type, ref, commit)
      where build_rule_id is not null and status in ('queued', 'running', 'canceling')`,
    `drop index run_live_namespace`,
    `alter table run drop column concurrency_key, drop column is_waiting, drop column priority, drop column superseded_by_id,
      drop column supersedes_id`,
  ])
    await sql.raw(step).execute(db);
}
