import { sql } from 'kysely';
import type { Database, DatabaseTransaction } from '../database.ts';
import { refusing } from '../constraint.ts';
import type { NamespaceRow, NamespaceUpdate, NewNamespace } from '../tables/namespace.ts';
import { alreadyExists, notFound, quotaExceeded } from '../../domain/errors.ts';
import { editionQuotas } from '../../domain/instance.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { InstanceRow } from '../tables/instance.ts';
import { definitionAt, placeUse } from './place-use.ts';

/** A namespace with the instance it is in. */
export interface NamespaceWithInstance extends NamespaceRow {
  readonly instance: string;
  readonly instance_region: string;
}

/** Throws 409 `namespace.exists`, or `quota.exceeded` past the edition's number; reserved namespaces do not count. */
export async function createNamespace(
  db: Database,
  instance: Pick<InstanceRow, 'id' | 'name' | 'edition'>,
  namespace: NewNamespace,
): Promise<NamespaceRow> {
  return db.transaction().execute(async (trx) => {
    // The lock makes counting and inserting one: two requests at once cannot both take the last place.
    await trx.selectFrom('instance').select('id').where('id', '=', instance.id).forUpdate().execute();
    const used = await countNamespaces(trx, instance.id);
    const limit = editionQuotas[instance.edition].namespaces;
    if (used >= limit) throw quotaExceeded('namespaces', limit, used);
    return insertNamespace(trx, instance.name, namespace);
  });
}

/** Throws 409 `namespace.exists` when the name is taken. */
export async function insertNamespace(db: Database, instance: string, namespace: NewNamespace): Promise<NamespaceRow> {
  return refusing(
    'namespace_instance_id_name_key',
    () => alreadyExists('namespace', namespace.name, `The instance "${instance}"`),
    () => db.insertInto('namespace').values(namespace).returningAll().executeTakeFirstOrThrow(),
  );
}

async function countNamespaces(trx: DatabaseTransaction, instanceId: string): Promise<number> {
  const { count } = await trx
    .selectFrom('namespace')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('instance_id', '=', instanceId)
    .where('name', 'not like', 'slipway-%')
    .executeTakeFirstOrThrow();
  return count;
}

/** Throws 404 `namespace.not_found`. */
export async function getNamespace(db: Database, id: string): Promise<NamespaceWithInstance> {
  const namespace = await withInstance(db).where('namespace.id', '=', id).executeTakeFirst();
  if (namespace === undefined) throw notFound('namespace', id);
  return namespace;
}

export async function findNamespace(
  db: Database,
  { instanceId, name }: { instanceId: string; name: string },
): Promise<NamespaceWithInstance | undefined> {
  return withInstance(db)
    .where('namespace.instance_id', '=', instanceId)
    .where('namespace.name', '=', name)
    .executeTakeFirst();
}

/** The namespaces of an instance by name. */
export async function listNamespaces(
  db: Database,
  instanceId: string,
  { limit, after }: PageQuery,
): Promise<NamespaceWithInstance[]> {
  let query = withInstance(db).where('namespace.instance_id', '=', instanceId);
  if (after !== undefined) query = query.where('namespace.name', '>', after.key);
  return query
    .orderBy('namespace.name')
    .limit(limit + 1)
    .execute();
}

export async function updateNamespace(db: Database, id: string, update: NamespaceUpdate): Promise<void> {
  await db.updateTable('namespace').set(update).where('id', '=', id).execute();
}

/** Deletes it with its repositories and their records; `deleteUnusedSecrets` clears what they had sealed. */
export async function deleteNamespace(db: Database, id: string): Promise<void> {
  await db.deleteFrom('namespace').where('id', '=', id).execute();
}

/** What keeps a namespace from being deleted, in words; undefined when nothing does (docs/product.md, section 3). */
export function namespaceUse(
  db: Database,
  { id, instance_id: instanceId, instance, name }: NamespaceWithInstance,
): Promise<string | undefined> {
  const source = definitionAt('source,namespace');
  return placeUse(db, {
    run: sql<boolean>`namespace_id = ${id}`,
    chain: sql<boolean>`instance_id = ${instanceId} and ${definitionAt('scope,namespace')} = ${name}`,
    rule: sql<boolean>`(instance_id = ${instanceId} and ${source} = ${name})
      or (${definitionAt('destination,instance')} = ${instance}
        and coalesce(${definitionAt('destination,namespace')}, ${source}) = ${name})`,
  });
}

function withInstance(db: Database) {
  return db
    .selectFrom('namespace')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .selectAll('namespace')
    .select(['instance.name as instance', 'instance.region as instance_region']);
}
