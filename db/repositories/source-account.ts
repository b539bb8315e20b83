import { notFound } from '../../domain/errors.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { Database } from '../database.ts';
import { createdAfter, createdMs } from '../keyset.ts';
import type { NewSourceAccount, SourceAccountRow, SourceAccountUpdate } from '../tables/source.ts';

export async function insertSourceAccount(db: Database, account: NewSourceAccount): Promise<SourceAccountRow> {
  return db.insertInto('source_account').values(account).returningAll().executeTakeFirstOrThrow();
}

export async function findSourceAccount(db: Database, id: string): Promise<SourceAccountRow | undefined> {
  return db.selectFrom('source_account').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Throws 404 `source_account.not_found`. */
export async function getSourceAccount(db: Database, id: string): Promise<SourceAccountRow> {
  const account = await findSourceAccount(db, id);
  if (account === undefined) throw notFound('source_account', id);
  return account;
}

/** The source accounts of an instance, oldest first. */
export async function listSourceAccounts(
  db: Database,
  instanceId: string,
  { limit, after }: PageQuery,
): Promise<SourceAccountRow[]> {
  return db
    .selectFrom('source_account')
    .selectAll()
    .where('instance_id', '=', instanceId)
    .where(createdAfter('source_account', after))
    .orderBy(createdMs('source_account'))
    .orderBy('id')
    .limit(limit + 1)
    .execute();
}

export async function updateSourceAccount(
  db: Database,
  id: string,
  update: SourceAccountUpdate,
): Promise<SourceAccountRow> {
  return db.updateTable('source_account').set(update).where('id', '=', id).returningAll().executeTakeFirstOrThrow();
}

export async function deleteSourceAccount(db: Database, id: string): Promise<void> {
  await db.deleteFrom('source_account').where('id', '=', id).execute();
}

/** How many repositories are bound through each of these accounts; those with none are left out. */
export async function countBoundRepositories(
  db: Database,
  ids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('source_binding')
    .select(({ fn }) => ['source_account_id', fn.countAll<number>().as('repositories')])
    .where('source_account_id', 'in', ids)
    .groupBy('source_account_id')
    .execute();
  return new Map(rows.map(({ source_account_id: id, repositories }) => [id, repositories]));
}

/** Repositories bound through this account, at most five, as `namespace/name`. */
export async function listBoundRepositories(db: Database, sourceAccountId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('source_binding')
    .innerJoin('repository', 'repository.id', 'source_binding.repository_id')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .select(['namespace.name as namespace', 'repository.name'])
    .where('source_account_id', '=', sourceAccountId)
    .limit(5)
    .execute();
  return rows.map(({ namespace, name }) => `${namespace}/${name}`);
}
