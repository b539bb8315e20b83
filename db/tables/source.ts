import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { RunCause } from '../../domain/record.ts';
import type { SourceHost } from '../../domain/source.ts';

/** An instance's address of and credential for a source host (docs/product.md, section 5). */
export interface SourceAccountTable {
  id: string;
  instance_id: string;
  host: SourceHost;
  base_url: string;
  credential_ref: string | null;
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
  /** Attempts to handle it that failed through a defect of ours. */
  attempts: Generated<number>;
  received_at: ColumnType<Date, Date | undefined, never>;
  handled_at: Date | null;
}

export type SourceAccountRow = Selectable<SourceAccountTable>;
export type NewSourceAccount = Insertable<SourceAccountTable>;
export type SourceAccountUpdate = Updateable<SourceAccountTable>;
export type SourceBindingRow = Selectable<SourceBindingTable>;
export type NewSourceBinding = Insertable<SourceBindingTable>;
export type SourceRefRow = Selectable<SourceRefTable>;
export type InboxRow = Selectable<InboxTable>;
export type NewInbox = Insertable<InboxTable>;
