import type { BuildRuleDefinition } from '../../domain/build.ts';
import type { Reason } from '../../domain/errors.ts';
import type { DifferingRef, SeenRef } from '../../domain/reconcile.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { SourceBindingRow } from '../tables/source.ts';
import { noteRefs } from './source-ref.ts';

/** A binding whose refs are to be compared with what was seen of them. */
export type ReconcilableBinding = Pick<
  SourceBindingRow,
  | 'repository_id'
  | 'hook_id'
  | 'hook_ref'
  | 'source_account_id'
  | 'code_namespace'
  | 'code_repository'
  | 'reconciled_at'
> & {
  /** Of its source account: bindings of one host are looked at with restraint. */
  readonly base_url: string;
};

/** The bindings not looked at since `triedBefore`, those that have waited longest first; `isNew`: only those never compared. */
export async function listReconcilable(
  db: Database,
  { triedBefore, isNew }: { triedBefore: Date; isNew: boolean },
): Promise<ReconcilableBinding[]> {
  return db
    .selectFrom('source_binding')
    .innerJoin('source_account', 'source_account.id', 'source_binding.source_account_id')
    .where((eb) => eb.or([eb('reconcile_tried_at', 'is', null), eb('reconcile_tried_at', '<', triedBefore)]))
    .$if(isNew, (query) => query.where('reconcile_tried_at', 'is', null))
    .select([
      'source_binding.repository_id',
      'source_binding.hook_id',
      'source_binding.hook_ref',
      'source_binding.source_account_id',
      'source_binding.code_namespace',
      'source_binding.code_repository',
      'source_binding.reconciled_at',
      'source_account.base_url',
    ])
    .orderBy('reconcile_tried_at', (order) => order.asc().nullsFirst())
    .orderBy('source_binding.repository_id')
    .execute();
}

/** The rules a push to the repository would start; none while its automatic builds are off. */
export async function listAutoBuildRules(
  db: Database,
  repositoryId: string,
): Promise<readonly Pick<BuildRuleDefinition, 'ref'>[]> {
  const rows = await db
    .selectFrom('build_rule')
    .innerJoin('repository', 'repository.id', 'build_rule.repository_id')
    .where('repository.id', '=', repositoryId)
    .where('repository.is_auto_build', '=', true)
    .where('build_rule.enabled', '=', true)
    .select('build_rule.definition')
    .execute();
  return rows.map(({ definition }) => definition);
}

/** Whether a delivery the source itself sent waits to be handled: what it tells is not known yet. */
export async function hasPendingDelivery(db: Database, repositoryId: string): Promise<boolean> {
  const row = await db
    .selectFrom('inbox')
    .select('id')
    .where('repository_id', '=', repositoryId)
    .where('state', '=', 'pending')
    .where('cause', '=', 'source_push')
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Notes that a binding's refs were compared, with the refs that only change what was seen. False, and nothing is noted, when the
 * repository was bound to other code meanwhile.
 */
export async function noteReconciled(
  db: Database,
  {
    binding,
    noted,
    gone,
    at,
  }: {
    binding: ReconcilableBinding;
    noted: readonly DifferingRef[];
    gone: readonly SeenRef[];
    at: Date;
  },
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    if (!(await noteTried(trx, { binding, at, error: null }))) return false;
    await noteRefs(trx, { repositoryId: binding.repository_id, noted, gone });
    return true;
  });
}

/** Notes why a binding's refs could not be compared. */
export async function noteReconcileFailed(
  db: Database,
  { binding, error, at }: { binding: ReconcilableBinding; error: Reason; at: Date },
): Promise<void> {
  await db.transaction().execute((trx) => noteTried(trx, { binding, at, error }));
}

async function noteTried(
  trx: DatabaseTransaction,
  { binding, at, error }: { binding: ReconcilableBinding; at: Date; error: Reason | null },
): Promise<boolean> {
  const { repository_id, hook_id, source_account_id, code_namespace, code_repository } = binding;
  const { numUpdatedRows } = await trx
    .updateTable('source_binding')
    .set({
      reconcile_tried_at: at,
      reconcile_error: error === null ? null : JSON.stringify(error),
      ...(error === null ? { reconciled_at: at } : {}),
    })
    .where((eb) => eb.and({ repository_id, hook_id, source_account_id, code_namespace, code_repository }))
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
