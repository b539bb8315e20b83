import { sql } from 'kysely';
import type { Database } from '../database.ts';
import { refusing } from '../constraint.ts';
import type { InstanceRow, InstanceUpdate, NewInstance } from '../tables/instance.ts';
import { alreadyExists, notFound } from '../../domain/errors.ts';
import type { PageQuery } from '../../domain/page.ts';

/** Throws 409 `instance.exists` when the name is taken. */
export async function insertInstance(db: Database, instance: NewInstance): Promise<InstanceRow> {
  return refusing(
    'instance_name_key',
    () => alreadyExists('instance', instance.name, 'Slipway'),
    () => db.insertInto('instance').values(instance).returningAll().executeTakeFirstOrThrow(),
  );
}

/** By id or name. */
export async function findInstance(db: Database, idOrName: string): Promise<InstanceRow | undefined> {
  return db
    .selectFrom('instance')
    .selectAll()
    .where((where) => where.or([where('id', '=', idOrName), where('name', '=', idOrName)]))
    .executeTakeFirst();
}

/** By id or name; throws 404 `instance.not_found`. */
export async function getInstance(db: Database, idOrName: string): Promise<InstanceRow> {
  const instance = await findInstance(db, idOrName);
  if (instance === undefined) throw notFound('instance', idOrName);
  return instance;
}

/** Instances by name, of one region or of all. */
export async function listInstances(
  db: Database,
  { region }: { region?: string | undefined },
  { limit, after }: PageQuery,
): Promise<InstanceRow[]> {
  let query = db.selectFrom('instance').selectAll();
  if (region !== undefined) query = query.where('region', '=', region);
  if (after !== undefined) query = query.where('name', '>', after.key);
  return query
    .orderBy('name')
    .limit(limit + 1)
    .execute();
}

/** The registries of all instances: what builds pull from and push to. */
export async function listRegistries(db: Database): Promise<Pick<InstanceRow, 'registry_url' | 'region' | 'kind'>[]> {
  return db.selectFrom('instance').select(['registry_url', 'region', 'kind']).orderBy('name').execute();
}

/** Instances per region; a region without any is left out. */
export async function countInstancesByRegion(db: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .selectFrom('instance')
    .select(['region', (select) => select.fn.countAll<number>().as('count')])
    .groupBy('region')
    .execute();
  return new Map(rows.map(({ region, count }) => [region, count]));
}

export async function updateInstance(db: Database, id: string, update: InstanceUpdate): Promise<InstanceRow> {
  return db.updateTable('instance').set(update).where('id', '=', id).returningAll().executeTakeFirstOrThrow();
}

/** Deletes it with its reserved namespaces; other namespaces must be gone. */
export async function deleteInstance(db: Database, id: string): Promise<void> {
  await db.deleteFrom('namespace').where('instance_id', '=', id).where('name', 'like', 'slipway-%').execute();
  await db.deleteFrom('blob_place').where('instance_id', '=', id).execute();
  await db.deleteFrom('instance').where('id', '=', id).execute();
}

/** What keeps an instance from being deleted, in words; undefined when nothing does. */
export async function instanceUse(
  db: Database,
  { id, name }: { id: string; name: string },
): Promise<string | undefined> {
  const uses = await Promise.all([
    db
      .selectFrom('namespace')
      .select('name')
      .where('instance_id', '=', id)
      .where('name', 'not like', 'slipway-%')
      .executeTakeFirst(),
    db.selectFrom('chain').select('name').where('instance_id', '=', id).executeTakeFirst(),
    db
      .selectFrom('replication_rule')
      .select('name')
      .where(sql<boolean>`instance_id = ${id} or definition #>> '{destination,instance}' = ${name}`)
      .executeTakeFirst(),
    db.selectFrom('source_account').select('base_url as name').where('instance_id', '=', id).executeTakeFirst(),
  ]);
  const kinds = ['namespace', 'chain', 'replication rule', 'source account'];
  const index = uses.findIndex((use) => use !== undefined);
  return index === -1 ? undefined : `the ${kinds[index]} "${uses[index]?.name}"`;
}
