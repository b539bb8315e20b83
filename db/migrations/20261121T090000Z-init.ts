import { sql } from 'kysely';
import type { Kysely } from 'kysely';

const tables = [
  `create table instance (
    id text primary key, name text not null unique, region text not null,
    kind text not null check (kind in ('managed', 'external')), registry_url text not null,
    edition text not null default 'advanced', status text not null default 'running',
    credential_ref text, created_at timestamptz not null default now())`,
  `create table secret (
    id text primary key, owner_id text not null, kind text not null, version integer not null,
    key_id text not null, ciphertext bytea not null, created_at timestamptz not null default now())`,
  `create table namespace (
    id text primary key, instance_id text not null references instance, name text not null,
    auto_create_repository boolean not null, default_repository_type text not null,
    default_tag_immutability boolean not null, created_at timestamptz not null default now(),
    unique (instance_id, name))`,
  `create table repository (
    id text primary key, namespace_id text not null references namespace on delete cascade, name text not null,
    type text not null check (type in ('public', 'private')), tag_immutability boolean not null,
    summary text not null, description text not null, is_auto_build boolean not null, is_no_cache boolean not null,
    created_at timestamptz not null default now(), unique (namespace_id, name))`,
  `create table source_account (
    id text primary key, instance_id text not null references instance, host text not null, base_url text not null,
    credential_ref text references secret, created_at timestamptz not null default now())`,
  `create table source_binding (
    repository_id text primary key references repository on delete cascade,
    source_account_id text not null references source_account, code_namespace text not null, code_repository text not null,
    hook_id text not null unique, hook_secret_ref text not null references secret,
    previous_hook_secret_ref text references secret, previous_hook_secret_until timestamptz,
    created_at timestamptz not null default now())`,
  `create sequence order_no`,
  `create table source_ref (
    repository_id text not null references repository on delete cascade, ref text not null, tip text,
    order_no bigint not null, primary key (repository_id, ref))`,
  `create table inbox (
    id bigint generated always as identity primary key, hook_id text not null, delivery_id text not null,
    repository_id text not null references repository on delete cascade, host text not null, event text not null,
    body bytea, state text not null default 'pending' check (state in ('pending', 'handled')), outcome jsonb,
    attempts integer not null default 0, received_at timestamptz not null default now(), handled_at timestamptz,
    unique (hook_id, delivery_id))`,
  `create index inbox_pending on inbox (id) where state = 'pending'`,
  `create index inbox_repository on inbox (repository_id, id desc)`,
  `create table build_rule (
    id text primary key, repository_id text not null references repository on delete cascade, definition jsonb not null,
    enabled boolean not null, version integer not null default 1, created_at timestamptz not null default now())`,
  `create index build_rule_repository on build_rule (repository_id)`,
  `create table chain (
    id text primary key, instance_id text not null references instance, name text not null, definition jsonb not null,
    scope_key text not null, enabled boolean not null, version integer not null default 1,
    next_run_number integer not null default 1, created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), unique (instance_id, name))`,
  `create unique index chain_scope_taken on chain (instance_id, scope_key) where enabled`,
  `create table chain_version (
    chain_id text not null references chain on delete cascade, version integer not null, definition jsonb not null,
    created_at timestamptz not null default now(), primary key (chain_id, version))`,
  `create table run (
    id text primary key, number integer not null, chain_id text references chain on delete set null, chain_name text,
    chain_version integer, instance_id text not null references instance, namespace_id text not null,
    repository_id text not null references repository on delete cascade, build_rule_id text, build_id text,
    cause text not null, actor text, ref text, ref_type text, commit text, message text, author text,
    tags jsonb not null, digest text, images jsonb not null, status text not null, result text, reason jsonb,
    attempt integer not null default 1, order_no bigint not null, input jsonb not null, trigger_snapshots jsonb not null,
    workflow_id text not null unique, workflow_run_id text, started_note_at timestamptz, cancel_requested_by text,
    queued_at timestamptz not null, started_at timestamptz, ended_at timestamptz, version integer not null default 1)`,
  `create unique index run_live_build on run (build_rule_id, ref_type, ref, commit)
    where build_rule_id is not null and status in ('queued', 'running', 'canceling')`,
  `create index run_newest on run (queued_at desc, id desc)`,
  `create index run_repository on run (repository_id, queued_at desc)`,
  `create index run_chain on run (chain_id, queued_at desc)`,
  `create index run_unstarted on run (queued_at) where started_note_at is null and status = 'queued'`,
  `create table run_step (
    run_id text not null references run on delete cascade, attempt integer not null, name text not null,
    ordinal integer not null, state text not null, why text, reason jsonb, result jsonb, attempts integer not null default 0,
    queued_ms integer, started_at timestamptz, ended_at timestamptz, primary key (run_id, attempt, name))`,
  `create table run_step_child (
    run_id text not null references run on delete cascade, attempt integer not null, step text not null, key text not null,
    state text not null, reason jsonb, result jsonb, started_at timestamptz, ended_at timestamptz,
    primary key (run_id, attempt, step, key))`,
  `create table run_event (
    id bigint generated always as identity primary key, run_id text not null references run on delete cascade,
    chain_id text, type text not null, data jsonb, version integer not null, at timestamptz not null default now())`,
  `create index run_event_run on run_event (run_id, id)`,
  `create table build (
    id text primary key, run_id text not null references run on delete cascade,
    repository_id text not null references repository on delete cascade, build_rule_id text, rule jsonb not null,
    cause text not null, ref text not null, ref_type text not null, commit text not null, message text, author text,
    image_tags jsonb not null, digest text, status text not null, stage text, reason jsonb,
    log_lines integer not null default 0, log_bytes bigint not null default 0, is_log_truncated boolean not null default false,
    queued_at timestamptz not null, started_at timestamptz, ended_at timestamptz)`,
  `create index build_repository on build (repository_id, queued_at desc)`,
  `create table build_architecture (
    build_id text not null references build on delete cascade, platform text not null, status text not null, digest text,
    media_type text, size_bytes bigint, cached_steps integer, attempts integer not null default 0, reason jsonb,
    started_at timestamptz, ended_at timestamptz, primary key (build_id, platform))`,
  `create table log_segment (
    build_id text not null references build on delete cascade, first_line integer not null, lines integer not null,
    bytes integer not null, sha256 text not null, object_key text not null, platform text, attempt integer not null,
    primary key (build_id, first_line))`,
  `create table tag_pointer (
    repository_id text not null references repository on delete cascade, tag text not null, order_no bigint not null,
    digest text not null, previous_digest text, run_id text not null, sequence integer not null,
    moved_at timestamptz not null, primary key (repository_id, tag))`,
  `create table blob_place (
    instance_id text not null references instance, path text not null, digest text not null,
    primary key (instance_id, digest, path))`,
  `create table scan (
    id text primary key, run_id text references run on delete cascade, attempt integer not null,
    repository_id text not null references repository on delete cascade, digest text not null, engine text not null,
    status text not null, verdict text, reason jsonb, created_at timestamptz not null, ended_at timestamptz)`,
  `create index scan_repository on scan (repository_id, created_at desc)`,
  `create unique index scan_once on scan (run_id, attempt) where run_id is not null`,
  `create table scan_report (
    scan_id text not null references scan on delete cascade, platform text not null, digest text not null, unscannable text,
    counts jsonb not null, fixable jsonb not null, engine_version text not null, data_updated_at timestamptz,
    data_sha256 text, is_sample_data boolean not null, report_key text, report_sha256 text, sbom_key text,
    sbom_sha256 text, ended_at timestamptz not null, primary key (scan_id, platform))`,
  `create table finding (
    id bigint generated always as identity primary key, scan_id text not null references scan on delete cascade,
    platform text not null, cve text not null, severity text not null, package text not null,
    installed_version text not null, fixed_version text, kind text not null, layer text, engine text not null,
    title text, url text)`,
  `create index finding_scan on finding (scan_id, platform)`,
  `create table replication_rule (
    id text primary key, instance_id text not null references instance, name text not null, definition jsonb not null,
    enabled boolean not null, version integer not null default 1, created_at timestamptz not null default now(),
    unique (instance_id, name))`,
  `create table replication_task (
    id text primary key, run_id text references run on delete cascade, rule_id text not null, digest text not null,
    destination_key text not null, status text not null, issue text, reason jsonb, bytes_total bigint not null default 0,
    bytes_copied bigint not null default 0, blobs_copied integer not null default 0, blobs_mounted integer not null default 0,
    blobs_skipped integer not null default 0, attempts integer not null default 0, created_at timestamptz not null,
    started_at timestamptz, ended_at timestamptz, verified_at timestamptz, unique (run_id, destination_key))`,
  `create table trigger (
    id text primary key, namespace_id text not null references namespace on delete cascade,
    repository_id text references repository on delete cascade, name text not null, definition jsonb not null,
    secret_ref text not null references secret, previous_secret_ref text references secret, previous_secret_until timestamptz,
    enabled boolean not null, disabled_reason jsonb, version integer not null default 1, first_failure_at timestamptz, failing_since timestamptz, created_at timestamptz not null default now(),
    unique nulls not distinct (namespace_id, repository_id, name))`,
  `create table delivery (
    id text primary key, trigger_id text not null references trigger on delete cascade,
    run_id text references run on delete cascade, webhook_id text not null, event text not null, tag text, digest text,
    body text not null, status text not null, reason jsonb, resends integer not null default 0, next_attempt_at timestamptz,
    created_at timestamptz not null, ended_at timestamptz)`,
  `create unique index delivery_once on delivery (run_id, trigger_id, tag) where run_id is not null`,
  `create index delivery_trigger on delivery (trigger_id, created_at desc)`,
  `create table delivery_attempt (
    delivery_id text not null references delivery on delete cascade, number integer not null, state text not null,
    at timestamptz not null, duration_ms integer, status_code integer, error_class text, request_headers jsonb not null,
    request_body text not null, response_headers jsonb, response_body text, primary key (delivery_id, number))`,
  `create table session (
    token_hash text primary key, actor text not null, created_at timestamptz not null, last_seen_at timestamptz not null)`,
  `create table login_code (code_hash text primary key, expires_at timestamptz not null)`,
  `create table idempotency_key (
    actor text not null, path text not null, key text not null, body_sha256 text not null, status integer, answer text,
    headers jsonb, created_at timestamptz not null, primary key (actor, path, key))`,
];

/** The first schema: configuration, inbox, runs and what their steps leave behind. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of tables) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  const created = tables
    .map((statement) => /^create (table|sequence) (\w+)/.exec(statement))
    .filter((match) => match !== null);
  for (const [, kind, name] of created.toReversed())
    await sql.raw(`drop ${kind} if exists ${name} cascade`).execute(db);
}
