import { sql } from 'kysely';
import { buildCacheRepository } from '../../domain/build-cache.ts';
import { alreadyExists, notFound, quotaExceeded } from '../../domain/errors.ts';
import { editionQuotas } from '../../domain/instance.ts';
import type { PageQuery } from '../../domain/page.ts';
import { refusing } from '../constraint.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { NamespaceWithInstance } from './namespace.ts';
import type { NewRepository, RepositoryRow, RepositoryUpdate } from '../tables/repository.ts';
import { definitionAt, placeUse } from './place-use.ts';

/** A repository with the names and ids of what it is in, and its code source. */
export interface RepositoryWithPlace extends RepositoryRow {
  readonly namespace: string;
  readonly instance_id: string;
  readonly instance: string;
  readonly instance_region: string;
  readonly source_account_id: string | null;
  readonly code_namespace: string | null;
  readonly code_repository: string | null;
}

/**
 * Inserts a repository under the lock of its instance, so that the quota holds. Throws 409 `repository.exists` or
 * `quota.exceeded`. What belongs to it is inserted in the same transaction, or nothing is.
 */
export async function insertRepository(
  trx: DatabaseTransaction,
  namespace: Pick<NamespaceWithInstance, 'instance_id' | 'name'>,
  repository: NewRepository,
): Promise<RepositoryRow> {
  const { edition } = await trx
    .selectFrom('instance')
    .select('edition')
    .where('id', '=', namespace.instance_id)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const limit = editionQuotas[edition].repositories;
  const used = await countRepositories(trx, namespace.instance_id);
  if (used >= limit) throw quotaExceeded('repositories', limit, used);
  return refusing(
    'repository_namespace_id_name_key',
    () => alreadyExists('repository', repository.name, `The namespace "${namespace.name}"`),
    () => trx.insertInto('repository').values(repository).returningAll().executeTakeFirstOrThrow(),
  );
}

/** Holds the repository until the transaction ends. Throws 404 `repository.not_found`: it was deleted meanwhile. */
export async function lockRepository(trx: DatabaseTransaction, id: string): Promise<void> {
  const row = await trx.selectFrom('repository').select('id').where('id', '=', id).forUpdate().executeTakeFirst();
  if (row === undefined) throw notFound('repository', id);
}

/** Inserts the repository a push names, unless it is there. */
export async function insertRepositoryIfMissing(db: Database, repository: NewRepository): Promise<void> {
  await db
    .insertInto('repository')
    .values(repository)
    .onConflict((conflict) => conflict.columns(['namespace_id', 'name']).doNothing())
    .execute();
}

async function countRepositories(trx: DatabaseTransaction, instanceId: string): Promise<number> {
  const { count } = await trx
    .selectFrom('repository')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('namespace.instance_id', '=', instanceId)
    .executeTakeFirstOrThrow();
  return count;
}

/** Throws 404 `repository.not_found`. */
export async function getRepository(db: Database, id: string): Promise<RepositoryWithPlace> {
  const repository = await withPlace(db).where('repository.id', '=', id).executeTakeFirst();
  if (repository === undefined) throw notFound('repository', id);
  return repository;
}

/** By its names inside an instance. */
export async function findRepository(
  db: Database,
  { instanceId, namespace, name }: { instanceId: string; namespace: string; name: string },
): Promise<RepositoryWithPlace | undefined> {
  return withPlace(db)
    .where('namespace.instance_id', '=', instanceId)
    .where('namespace.name', '=', namespace)
    .where('repository.name', '=', name)
    .executeTakeFirst();
}

/** What `GET /v1/repositories` filters by: `instance` an id or name, the others names. */
export interface RepositoryFilter {
  readonly instance?: string | undefined;
  readonly namespaceId?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** Repositories by name. */
export async function listRepositories(
  db: Database,
  filter: RepositoryFilter,
  { limit, after }: PageQuery,
): Promise<RepositoryWithPlace[]> {
  let query = withPlace(db);
  const { instance, namespaceId, namespace, name } = filter;
  if (instance !== undefined)
    query = query.where((where) =>
      where.or([where('instance.id', '=', instance), where('instance.name', '=', instance)]),
    );
  if (namespaceId !== undefined) query = query.where('namespace.id', '=', namespaceId);
  if (namespace !== undefined) query = query.where('namespace.name', '=', namespace);
  if (name !== undefined) query = query.where('repository.name', '=', name);
  if (after !== undefined)
    query = query.where(sql<boolean>`(repository.name, repository.id) > (${after.key}, ${after.id})`);
  return query
    .orderBy('repository.name')
    .orderBy('repository.id')
    .limit(limit + 1)
    .execute();
}

export async function updateRepository(db: Database, id: string, update: RepositoryUpdate): Promise<void> {
  await db.updateTable('repository').set(update).where('id', '=', id).execute();
}

export async function deleteRepository(db: Database, id: string): Promise<void> {
  await db.deleteFrom('repository').where('id', '=', id).execute();
}

/** What keeps a repository from being deleted, in words; undefined when nothing does. */
export function repositoryUse(
  db: Database,
  { id, instance_id: instanceId, namespace, name }: RepositoryWithPlace,
): Promise<string | undefined> {
  const isNamed = (part: 'scope' | 'source') =>
    sql<boolean>`instance_id = ${instanceId} and ${definitionAt(`${part},namespace`)} = ${namespace}
      and ${definitionAt(`${part},repository`)} = ${name}`;
  return placeUse(db, { run: sql<boolean>`repository_id = ${id}`, chain: isNamed('scope'), rule: isNamed('source') });
}

/** A repository of a managed registry as deleting its images needs it. */
export interface DoomedRepository {
  readonly instance: string;
  /** `namespace/name`. */
  readonly path: string;
  /** Images that runs left there, which a tag list of the registry may not show; indexes before what they name. */
  readonly digests: readonly string[];
}

/** One repository, or every one of a namespace, on its way out; its remote caches are a repository of their own. */
export async function listDoomedRepositories(
  db: Database,
  scope: { readonly id: string } | { readonly namespaceId: string },
): Promise<DoomedRepository[]> {
  const rows = await db
    .selectFrom('repository')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .select(['instance.name as instance', 'namespace.name as namespace', 'repository.name', 'repository.id'])
    .select(
      sql<string[]>`array(
        select digest from run where run.repository_id = repository.id and digest is not null union
        select digest from build where build.repository_id = repository.id and digest is not null) || array(
        select distinct parts.digest from build_architecture parts join build on build.id = parts.build_id
          where build.repository_id = repository.id and parts.digest is not null)`.as('digests'),
    )
    .where('id' in scope ? 'repository.id' : 'namespace.id', '=', 'id' in scope ? scope.id : scope.namespaceId)
    .execute();
  return rows.flatMap(({ id, instance, namespace, name, digests }) => [
    { instance, path: `${namespace}/${name}`, digests },
    { instance, path: buildCacheRepository(id), digests: [] },
  ]);
}

function withPlace(db: Database) {
  return db
    .selectFrom('repository')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .leftJoin('source_binding', 'source_binding.repository_id', 'repository.id')
    .selectAll('repository')
    .select([
      'namespace.name as namespace',
      'namespace.instance_id',
      'instance.name as instance',
      'instance.region as instance_region',
      'source_binding.source_account_id',
      'source_binding.code_namespace',
      'source_binding.code_repository',
    ]);
}
