import { sql } from 'kysely';
import type { Kysely } from 'kysely';

const steps = [
  // What kind of credential is sealed, and until when one process alone renews it.
  `alter table source_account add column ca_certificate text, add column credential_kind text,
    add column renewing_until timestamptz`,
  `update source_account set credential_kind = 'login' where credential_ref is not null`,
  // The host's own id of the hook, and why there is none or no status on commits.
  `alter table source_binding add column hook_ref text, add column hook_issue jsonb, add column status_issue jsonb`,
  `create table source_authorization (
    state_hash text primary key, actor text not null, instance_id text not null references instance on delete cascade,
    source_account_id text references source_account on delete cascade, flow text not null, host text not null,
    base_url text not null, ca_certificate text, expires_at timestamptz not null)`,
  `create table commit_status (
    id text primary key, repository_id text not null references repository on delete cascade, commit text not null,
    chain_key text not null, version integer not null default 1, notified_version integer not null default 0,
    sent_version integer not null default 0, sent_state text, issue jsonb, changed_at timestamptz not null,
    sent_at timestamptz, unique (repository_id, commit, chain_key))`,
  `create index commit_status_waiting on commit_status (changed_at) where notified_version < version`,
  `create index run_repository_commit on run (repository_id, commit) where commit is not null`,
];

/** Credentials of every kind, hooks installed by Slipway, authorizations under way and the outbox of commit statuses. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of steps) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of [
    `drop index run_repository_commit`,
    `drop table commit_status`,
    `drop table source_authorization`,
    `alter table source_binding drop column hook_ref, drop column hook_issue, drop column status_issue`,
    `alter table source_account drop column ca_certificate, drop column credential_kind, drop column renewing_until`,
  ])
    await sql.raw(statement).execute(db);
}
