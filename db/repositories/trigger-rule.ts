import { alreadyExists, notFound, quotaExceeded } from '../../domain/errors.ts';
import { limits } from '../../domain/limits.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { TriggerDefinition } from '../../domain/trigger.ts';
import { refusing } from '../constraint.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { newId } from '../new-id.ts';
import type { TriggerRow } from '../tables/trigger.ts';

/** Where a trigger is: a repository, or with `repositoryId` null the whole namespace. */
export interface TriggerPlace {
  readonly namespaceId: string;
  readonly repositoryId: string | null;
}

/** Throws 409 `trigger.exists`, or `quota.exceeded` past the number a namespace may have, its repositories' included. */
export async function insertTrigger(
  trx: DatabaseTransaction,
  { namespaceId, repositoryId }: TriggerPlace,
  { definition, secretRef, at }: { definition: TriggerDefinition; secretRef: string; at: Date },
): Promise<TriggerRow> {
  await trx.selectFrom('namespace').select('id').where('id', '=', namespaceId).forUpdate().execute();
  const used = await countTriggers(trx, namespaceId);
  if (used >= limits.triggersPerNamespace)
    throw quotaExceeded('triggersPerNamespace', limits.triggersPerNamespace, used);
  return refusingTaken(definition.name, () =>
    trx
      .insertInto('trigger')
      .values({
        id: newId('crw'),
        namespace_id: namespaceId,
        repository_id: repositoryId,
        name: definition.name,
        definition: JSON.stringify(definition),
        secret_ref: secretRef,
        enabled: definition.enabled,
        disabled_reason: JSON.stringify(null),
        first_failure_at: null,
        created_at: at,
      })
      .returningAll()
      .executeTakeFirstOrThrow(),
  );
}

/** Replaces the definition; the version grows. Enabling forgets why it was disabled. Throws 409 `trigger.exists`. */
export async function updateTrigger(db: Database, id: string, definition: TriggerDefinition): Promise<TriggerRow> {
  return refusingTaken(definition.name, () =>
    db
      .updateTable('trigger')
      .set((set) => ({
        name: definition.name,
        definition: JSON.stringify(definition),
        enabled: definition.enabled,
        version: set('version', '+', 1),
        ...(definition.enabled ? { disabled_reason: JSON.stringify(null), first_failure_at: null } : {}),
      }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow(),
  );
}

/** Puts a new signing secret in place; the old one signs beside it until `previousUntil`. */
export async function rotateTriggerSecret(
  db: Database,
  { id, secret_ref: previousRef }: Pick<TriggerRow, 'id' | 'secret_ref'>,
  { secretRef, previousUntil }: { secretRef: string; previousUntil: Date },
): Promise<TriggerRow> {
  return db
    .updateTable('trigger')
    .set({ secret_ref: secretRef, previous_secret_ref: previousRef, previous_secret_until: previousUntil })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

function refusingTaken(name: string, write: () => Promise<TriggerRow>): Promise<TriggerRow> {
  return refusing(
    'trigger_namespace_id_repository_id_name_key',
    () => alreadyExists('trigger', name, 'This repository or namespace'),
    write,
  );
}

async function countTriggers(db: Database, namespaceId: string): Promise<number> {
  const { count } = await db
    .selectFrom('trigger')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('namespace_id', '=', namespaceId)
    .executeTakeFirstOrThrow();
  return count;
}

/** Throws 404 `trigger.not_found`. */
export async function getTrigger(db: Database, id: string): Promise<TriggerRow> {
  const trigger = await db.selectFrom('trigger').selectAll().where('id', '=', id).executeTakeFirst();
  if (trigger === undefined) throw notFound('trigger', id);
  return trigger;
}

/** The trigger under a lock that lasts until the transaction ends. Throws 404 `trigger.not_found`. */
export async function lockTrigger(trx: DatabaseTransaction, id: string): Promise<TriggerRow> {
  const trigger = await trx.selectFrom('trigger').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  if (trigger === undefined) throw notFound('trigger', id);
  return trigger;
}

/** The triggers of one repository, or of a namespace itself, by name. */
export async function listTriggers(
  db: Database,
  { namespaceId, repositoryId }: TriggerPlace,
  { limit, after }: PageQuery,
): Promise<TriggerRow[]> {
  let query = db
    .selectFrom('trigger')
    .selectAll()
    .where('namespace_id', '=', namespaceId)
    .where('repository_id', 'is not distinct from', repositoryId);
  if (after !== undefined) query = query.where('name', '>', after.key);
  return query
    .orderBy('name')
    .limit(limit + 1)
    .execute();
}

export async function deleteTrigger(db: Database, id: string): Promise<void> {
  await db.deleteFrom('trigger').where('id', '=', id).execute();
}
