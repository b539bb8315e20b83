import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { RunCause } from '../../domain/record.ts';
import type { SourceHost } from '../../domain/source.ts';
import type { CredentialKind } from '../../domain/source-credential.ts';
import type { CommitState } from '../../domain/commit-status.ts';
import type { Reason } from '../../domain/errors.ts';

/** An instance's address of and credential for a source host (docs/product.md, section 5). */
export interface SourceAccountTable {
  id: string;
  instance_id: string;
  /** What people call it; null: by its address. */
  name: Generated<string | null>;
  host: SourceHost;
  base_url: string;
  /** PEM, for hosts behind a private authority. */
  ca_certificate: Generated<string | null>;
  credential_ref: string | null;
  credential_kind: Generated<CredentialKind | null>;
  /** Until then one process alone renews the OAuth grant. */
  renewing_until: Generated<Date | null>;
  created_at: ColumnType<Date, Date | undefined, never>;
}

/** One repository tied to one code repository; `hook_id` is the unguessable part of its webhook's address. */
export interface SourceBindingTable {
  repository_id: string;
  source_account_id: string;
  code_namespace: string;
  code_repository: string;
  hook_id: string;
  /** Secret that verifies deliveries. */
  hook_secret_ref: string;
  /** The secret before a rotation; deliveries signed with it are taken until the time beside it. */
  previous_hook_secret_ref: Generated<string | null>;
  previous_hook_secret_until: Generated<Date | null>;
  /** The host's own id of the hook Slipway installed. */
  hook_ref: Generated<string | null>;
  /** Why Slipway could not install it. */
  hook_issue: ColumnType<Reason | null, string | null | undefined, string | null>;
  /** Why commits get no status. */
  status_issue: ColumnType<Reason | null, string | null | undefined, string | null>;
  /** The branch HEAD names, as last asked of the host: its cache serves branches that have none. */
  default_branch: Generated<string | null>;
  default_branch_at: Generated<Date | null>;
  /** When the refs were last compared with what was seen, and when that was last tried; null: not since it was bound. */
  reconciled_at: Generated<Date | null>;
  reconcile_tried_at: Generated<Date | null>;
  /** Why the last try failed, null when it did not. */
  reconcile_error: ColumnType<Reason | null, string | null | undefined, string | null>;
  created_at: ColumnType<Date, Date | undefined, never>;
}

/** Somebody's way to a source host's consent page and back; its `state` is stored hashed and used once. */
export interface SourceAuthorizationTable {
  state_hash: string;
  actor: string;
  instance_id: string;
  /** The account whose credential is replaced; null: a new one is made. */
  source_account_id: string | null;
  flow: 'oauth' | 'app';
  host: SourceHost;
  base_url: string;
  ca_certificate: string | null;
  expires_at: Date;
}

/** The outbox of statuses: one row per commit and chain; what is sent is the state at the time of sending. */
export interface CommitStatusTable {
  id: string;
  repository_id: string;
  commit: string;
  /** The chain's id; empty for builds outside one. */
  chain_key: string;
  /** Counts the changes; behind it are the last one announced to the engine, and the last one told to the host. */
  version: Generated<number>;
  notified_version: Generated<number>;
  sent_version: Generated<number>;
  sent_state: Generated<CommitState | null>;
  issue: ColumnType<Reason | null, string | null | undefined, string | null>;
  changed_at: Date;
  sent_at: Generated<Date | null>;
}

/** A ref as last seen: its row lock orders the changes of one ref (`order_no`), its tip tells duplicates. */
export interface SourceRefTable {
  repository_id: string;
  /** `heads/main`, `tags/v1`. */
  ref: string;
  tip: string | null;
  order_no: number;
}

/** The causes a delivery of the inbox may have. */
export type InboxCause = Extract<RunCause, 'source_push' | 'catch_up'>;

/** Accepted deliveries; the unique index on (hook_id, delivery_id) is the truth about duplicates. */
export interface InboxTable {
  id: Generated<number>;
  hook_id: string;
  delivery_id: string;
  repository_id: string;
  host: SourceHost;
  event: string;
  /** What its runs are started by: a push, or the comparison that found one nobody told of. */
  cause: ColumnType<InboxCause, InboxCause | undefined, never>;
  /** gzipped raw body; null once handled. */
  body: Buffer | null;
  state: 'pending' | 'handled';
  /** `InboxOutcome` as JSON once handled. */
  outcome: ColumnType<unknown, string | null, string | null>;
  /** `SourceChangeOutcome[]` as JSON once handled; null where the body told no change. */
  changes: ColumnType<unknown, string | null | undefined, string | null>;
  /** Attempts to handle it that failed through a defect of ours. */
  attempts: Generated<number>;
  received_at: ColumnType<Date, Date | undefined, never>;
  handled_at: Date | null;
}

/** How much one caller may still do: `tokens` as of `at`, refilled with time; `granted` is what the last asker was given. */
export interface RateBucketTable {
  key: string;
  tokens: number;
  granted: number;
  at: Date;
}

export type SourceAccountRow = Selectable<SourceAccountTable>;
export type NewSourceAccount = Insertable<SourceAccountTable>;
export type SourceAccountUpdate = Updateable<SourceAccountTable>;
export type SourceBindingRow = Selectable<SourceBindingTable>;
export type NewSourceBinding = Insertable<SourceBindingTable>;
export type SourceAuthorizationRow = Selectable<SourceAuthorizationTable>;
export type NewSourceAuthorization = Insertable<SourceAuthorizationTable>;
export type CommitStatusRow = Selectable<CommitStatusTable>;
export type SourceRefRow = Selectable<SourceRefTable>;
export type InboxRow = Selectable<InboxTable>;
export type NewInbox = Insertable<InboxTable>;
