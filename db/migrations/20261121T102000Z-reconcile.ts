import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/** Why a delivery is in the inbox, and how a binding's refs were last compared with what was seen. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table inbox add column cause text not null default 'source_push'`.execute(db);
  await sql`alter table source_binding add column reconciled_at timestamptz, add column reconcile_tried_at timestamptz,
    add column reconcile_error jsonb`.execute(db);
  await sql`create index source_binding_reconcile on source_binding (reconcile_tried_at nulls first, repository_id)`.execute(
    db,
  );
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index source_binding_reconcile`.execute(db);
  await sql`alter table source_binding drop column reconciled_at, drop column reconcile_tried_at,
    drop column reconcile_error`.execute(db);
  await sql`alter table inbox drop column cause`.execute(db);
}
