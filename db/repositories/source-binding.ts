import { notFound } from '../../domain/errors.ts';
import type { Reason } from '../../domain/errors.ts';
import type { Database } from '../database.ts';
import { forgetRefs } from './source-ref.ts';
import type { InboxRow, NewSourceBinding, SourceBindingRow } from '../tables/source.ts';

export async function findSourceBinding(db: Database, repositoryId: string): Promise<SourceBindingRow | undefined> {
  return db.selectFrom('source_binding').selectAll().where('repository_id', '=', repositoryId).executeTakeFirst();
}

/** The bindings of a namespace's repositories. */
export async function listSourceBindings(db: Database, namespaceId: string): Promise<SourceBindingRow[]> {
  return db
    .selectFrom('source_binding')
    .innerJoin('repository', 'repository.id', 'source_binding.repository_id')
    .selectAll('source_binding')
    .where('repository.namespace_id', '=', namespaceId)
    .execute();
}

/** Throws 404 `source.not_found`: the repository is local. */
export async function getSourceBinding(db: Database, repositoryId: string): Promise<SourceBindingRow> {
  const binding = await findSourceBinding(db, repositoryId);
  if (binding === undefined) throw notFound('source', repositoryId);
  return binding;
}

export async function insertSourceBinding(db: Database, binding: NewSourceBinding): Promise<SourceBindingRow> {
  return db.insertInto('source_binding').values(binding).returningAll().executeTakeFirstOrThrow();
}

/**
 * Points the binding at code that was just read; its hook stays. What was seen of the refs of other code is forgotten.
 */
export async function updateSourceBinding(
  db: Database,
  repositoryId: string,
  code: Pick<NewSourceBinding, 'source_account_id' | 'code_namespace' | 'code_repository'>,
): Promise<SourceBindingRow> {
  const { source_account_id, code_namespace, code_repository } = code;
  const other = await db
    .updateTable('source_binding')
    .set({ reconciled_at: null, reconcile_tried_at: null, reconcile_error: null, default_branch_at: null })
    .where('repository_id', '=', repositoryId)
    .where((eb) => eb.not(eb.and({ source_account_id, code_namespace, code_repository })))
    .executeTakeFirst();
  if (other.numUpdatedRows > 0n) await forgetRefs(db, repositoryId);
  return db
    .updateTable('source_binding')
    .set({ ...code, reconcile_error: null })
    .where('repository_id', '=', repositoryId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Notes the host's id of the binding's hook, or why it could not be installed. Commits get statuses again. */
export async function setHookState(
  db: Database,
  repositoryId: string,
  { hookRef, issue }: { hookRef: string | null; issue: Reason | null },
): Promise<void> {
  await db
    .updateTable('source_binding')
    .set({ hook_ref: hookRef, hook_issue: issue === null ? null : JSON.stringify(issue), status_issue: null })
    .where('repository_id', '=', repositoryId)
    .execute();
}

/** Lets commits have statuses again: a new credential may have the right. */
export async function clearStatusIssues(db: Database, sourceAccountId: string): Promise<void> {
  await db
    .updateTable('source_binding')
    .set({ status_issue: null })
    .where('source_account_id', '=', sourceAccountId)
    .execute();
}

/** Puts a new hook secret in place; deliveries signed with the old one are taken until `previousUntil`. */
export async function rotateHookSecret(
  db: Database,
  binding: Pick<SourceBindingRow, 'repository_id' | 'hook_secret_ref'>,
  { secretRef, previousUntil }: { secretRef: string; previousUntil: Date },
): Promise<SourceBindingRow> {
  return db
    .updateTable('source_binding')
    .set({
      hook_secret_ref: secretRef,
      previous_hook_secret_ref: binding.hook_secret_ref,
      previous_hook_secret_until: previousUntil,
    })
    .where('repository_id', '=', binding.repository_id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteSourceBinding(db: Database, repositoryId: string): Promise<void> {
  await db.deleteFrom('source_binding').where('repository_id', '=', repositoryId).execute();
  await forgetRefs(db, repositoryId);
}

/** A delivery of the inbox as its binding shows it. */
export type SourceEvent = Pick<InboxRow, 'id' | 'event' | 'state' | 'outcome' | 'received_at'>;

/** The newest delivery the binding's hook took. */
export async function findLastSourceEvent(db: Database, hookId: string): Promise<SourceEvent | undefined> {
  return db
    .selectFrom('inbox')
    .select(['id', 'event', 'state', 'outcome', 'received_at'])
    .where('hook_id', '=', hookId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
}
