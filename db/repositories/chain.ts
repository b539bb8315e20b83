import type { ChainDefinition } from '../../domain/chain.ts';
import { alreadyExists, conflict, notFound, quotaExceeded } from '../../domain/errors.ts';
import { limits } from '../../domain/limits.ts';
import type { PageQuery } from '../../domain/page.ts';
import { refusing } from '../constraint.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { newId } from '../new-id.ts';
import type { ChainRow, ChainVersionRow } from '../tables/chain.ts';

/** A chain with the name of its instance. */
export interface ChainWithInstance extends ChainRow {
  readonly instance: string;
}

type Instance = { readonly id: string; readonly name: string };

/** Inserts a chain and its version 1. Throws 409 `chain.exists`, `chain.scope_taken` or `quota.exceeded`. */
export async function insertChain(
  trx: DatabaseTransaction,
  instance: Instance,
  { definition, at }: { definition: ChainDefinition; at: Date },
): Promise<ChainRow> {
  await trx.selectFrom('instance').select('id').where('id', '=', instance.id).forUpdate().execute();
  const used = await countChains(trx, instance.id);
  if (used >= limits.chainsPerInstance) throw quotaExceeded('chains', limits.chainsPerInstance, used);
  const chain = await refusingTaken(instance, definition, () =>
    trx
      .insertInto('chain')
      .values({
        id: newId('chi'),
        instance_id: instance.id,
        name: definition.name,
        definition: JSON.stringify(definition),
        scope_key: scopeKey(definition.scope),
        enabled: definition.enabled,
        created_at: at,
        updated_at: at,
      })
      .returningAll()
      .executeTakeFirstOrThrow(),
  );
  await insertVersion(trx, chain, at);
  return chain;
}

/** Replaces the definition as the next version. Throws 409 `chain.exists` or `chain.scope_taken`. */
export async function updateChain(
  trx: DatabaseTransaction,
  { id, instance_id: instanceId, instance }: ChainWithInstance,
  { definition, at }: { definition: ChainDefinition; at: Date },
): Promise<ChainRow> {
  const chain = await refusingTaken({ id: instanceId, name: instance }, definition, () =>
    trx
      .updateTable('chain')
      .set((set) => ({
        name: definition.name,
        definition: JSON.stringify(definition),
        enabled: definition.enabled,
        version: set('version', '+', 1),
        updated_at: at,
      }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow(),
  );
  await insertVersion(trx, chain, at);
  return chain;
}

async function insertVersion(trx: DatabaseTransaction, chain: ChainRow, at: Date): Promise<void> {
  const { id, version, definition } = chain;
  await trx
    .insertInto('chain_version')
    .values({ chain_id: id, version, definition: JSON.stringify(definition), created_at: at })
    .execute();
}

function refusingTaken(
  instance: Instance,
  definition: ChainDefinition,
  write: () => Promise<ChainRow>,
): Promise<ChainRow> {
  return refusing(
    'chain_instance_id_name_key',
    () => alreadyExists('chain', definition.name, `The instance "${instance.name}"`),
    () => refusing('chain_scope_taken', () => scopeTaken(definition.scope), write),
  );
}

function scopeTaken(scope: ChainDefinition['scope']): Error {
  return conflict(
    'chain.scope_taken',
    `Another enabled chain has the same scope, ${scopeWords(scope)}: a repository belongs to one chain. Choose a narrower scope, or disable the other chain.`,
  );
}

function scopeWords({ namespace, repository }: ChainDefinition['scope']): string {
  if (namespace === null) return 'the whole instance';
  return repository === null ? `the namespace "${namespace}"` : `the repository "${namespace}/${repository}"`;
}

/** Unique among the enabled chains of an instance. */
function scopeKey({ namespace, repository }: ChainDefinition['scope']): string {
  return JSON.stringify([namespace, repository]);
}

async function countChains(db: Database, instanceId: string): Promise<number> {
  const { count } = await db
    .selectFrom('chain')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('instance_id', '=', instanceId)
    .executeTakeFirstOrThrow();
  return count;
}

/** Throws 404 `chain.not_found`. */
export async function getChain(db: Database, id: string): Promise<ChainWithInstance> {
  const chain = await withInstance(db).where('chain.id', '=', id).executeTakeFirst();
  if (chain === undefined) throw notFound('chain', id);
  return chain;
}

/** The chain under a lock that lasts until the transaction ends. Throws 404 `chain.not_found`. */
export async function lockChain(trx: DatabaseTransaction, id: string): Promise<ChainWithInstance> {
  const chain = await withInstance(trx).where('chain.id', '=', id).forUpdate('chain').executeTakeFirst();
  if (chain === undefined) throw notFound('chain', id);
  return chain;
}

/** The chains of an instance by name. */
export async function listChains(
  db: Database,
  instanceId: string,
  { limit, after }: PageQuery,
): Promise<ChainWithInstance[]> {
  let query = withInstance(db).where('chain.instance_id', '=', instanceId);
  if (after !== undefined) query = query.where('chain.name', '>', after.key);
  return query
    .orderBy('chain.name')
    .limit(limit + 1)
    .execute();
}

/** The versions of a chain, newest first. */
export async function listChainVersions(
  db: Database,
  chainId: string,
  { limit, after }: PageQuery,
): Promise<ChainVersionRow[]> {
  let query = db.selectFrom('chain_version').selectAll().where('chain_id', '=', chainId);
  if (after !== undefined) query = query.where('version', '<', Number(after.key));
  return query
    .orderBy('version', 'desc')
    .limit(limit + 1)
    .execute();
}

/** Its runs and Records stay. */
export async function deleteChain(db: Database, id: string): Promise<void> {
  await db.deleteFrom('chain').where('id', '=', id).execute();
}

function withInstance(db: Database) {
  return db
    .selectFrom('chain')
    .innerJoin('instance', 'instance.id', 'chain.instance_id')
    .selectAll('chain')
    .select('instance.name as instance');
}
