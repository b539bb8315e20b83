import { sql } from 'kysely';
import { alreadyExists, notFound, quotaExceeded } from '../../domain/errors.ts';
import { limits } from '../../domain/limits.ts';
import type { PageQuery } from '../../domain/page.ts';
import { refusing } from '../constraint.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { newId } from '../new-id.ts';
import type { BuildSecretRow } from '../tables/build-secret.ts';

/** A build secret with how many rules of its namespace name it; never with its value. */
export interface BuildSecretWithUse extends BuildSecretRow {
  readonly rules: number;
}

/** The sealed values' references by name; a name the namespace has no secret of is not among them. */
export async function findBuildSecretRefs(
  db: Database,
  { namespaceId, names }: { namespaceId: string; names: readonly string[] },
): Promise<Map<string, string>> {
  if (names.length === 0) return new Map();
  const rows = await db
    .selectFrom('build_secret')
    .select(['name', 'secret_ref'])
    .where('namespace_id', '=', namespaceId)
    .where('name', 'in', names)
    .execute();
  return new Map(rows.map((row) => [row.name, row.secret_ref]));
}

/** Which of these names the namespace has, under a lock that keeps them from being deleted until the transaction ends. */
export async function lockBuildSecretNames(
  trx: DatabaseTransaction,
  { repositoryId, names }: { repositoryId: string; names: readonly string[] },
): Promise<Set<string>> {
  if (names.length === 0) return new Set();
  const rows = await trx
    .selectFrom('build_secret')
    .innerJoin('repository', 'repository.namespace_id', 'build_secret.namespace_id')
    .select('build_secret.name')
    .where('repository.id', '=', repositoryId)
    .where('build_secret.name', 'in', names)
    .forShare('build_secret')
    .execute();
  return new Set(rows.map(({ name }) => name));
}

/** Throws 409 `secret.exists`, or `quota.exceeded` past the number a namespace may have. */
export async function insertBuildSecret(
  trx: DatabaseTransaction,
  { namespaceId, name, secretRef, at }: { namespaceId: string; name: string; secretRef: string; at: Date },
): Promise<BuildSecretRow> {
  await trx.selectFrom('namespace').select('id').where('id', '=', namespaceId).forUpdate().execute();
  const used = await countBuildSecrets(trx, namespaceId);
  if (used >= limits.buildSecretsPerNamespace)
    throw quotaExceeded('buildSecretsPerNamespace', limits.buildSecretsPerNamespace, used);
  return refusing(
    'build_secret_name',
    () => alreadyExists('secret', name, 'The namespace'),
    () =>
      trx
        .insertInto('build_secret')
        .values({
          id: newId('bsec'),
          namespace_id: namespaceId,
          name,
          secret_ref: secretRef,
          created_at: at,
          updated_at: at,
        })
        .returningAll()
        .executeTakeFirstOrThrow(),
  );
}

async function countBuildSecrets(db: Database, namespaceId: string): Promise<number> {
  const { count } = await db
    .selectFrom('build_secret')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('namespace_id', '=', namespaceId)
    .executeTakeFirstOrThrow();
  return count;
}

/** The secrets of a namespace by name. */
export async function listBuildSecrets(
  db: Database,
  namespaceId: string,
  { limit, after }: PageQuery,
): Promise<BuildSecretWithUse[]> {
  let query = withUse(db).where('build_secret.namespace_id', '=', namespaceId);
  if (after !== undefined) query = query.where('build_secret.name', '>', after.key);
  return query
    .orderBy('build_secret.name')
    .limit(limit + 1)
    .execute();
}

/** Throws 404 `secret.not_found`. */
export async function getBuildSecret(db: Database, id: string): Promise<BuildSecretWithUse> {
  const secret = await withUse(db).where('build_secret.id', '=', id).executeTakeFirst();
  if (secret === undefined) throw notFound('secret', id);
  return secret;
}

/** The secret under a lock that no rule can begin to name it past. Throws 404 `secret.not_found`. */
export async function lockBuildSecret(trx: DatabaseTransaction, id: string): Promise<BuildSecretRow> {
  const secret = await trx.selectFrom('build_secret').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  if (secret === undefined) throw notFound('secret', id);
  return secret;
}

/** Notes that the value behind it was replaced. */
export async function touchBuildSecret(db: Database, id: string, at: Date): Promise<void> {
  await db.updateTable('build_secret').set({ updated_at: at }).where('id', '=', id).execute();
}

export async function deleteBuildSecret(db: Database, id: string): Promise<void> {
  await db.deleteFrom('build_secret').where('id', '=', id).execute();
}

/** The repositories of its namespace whose build rules name it, each once, by name. */
export async function listBuildSecretUsers(
  db: Database,
  { namespace_id: namespaceId, name }: Pick<BuildSecretRow, 'namespace_id' | 'name'>,
): Promise<string[]> {
  const rows = await db
    .selectFrom('build_rule')
    .innerJoin('repository', 'repository.id', 'build_rule.repository_id')
    .select('repository.name')
    .distinct()
    .where('repository.namespace_id', '=', namespaceId)
    .where(sql<boolean>`build_rule.definition -> 'secrets' @> ${JSON.stringify([{ secretRef: name }])}::jsonb`)
    .orderBy('repository.name')
    .execute();
  return rows.map((row) => row.name);
}

function withUse(db: Database) {
  return db
    .selectFrom('build_secret')
    .selectAll('build_secret')
    .select(
      sql<number>`(select count(*) from build_rule join repository on repository.id = build_rule.repository_id
        where repository.namespace_id = build_secret.namespace_id and build_rule.definition -> 'secrets'
          @> jsonb_build_array(jsonb_build_object('secretRef', build_secret.name)))`.as('rules'),
    );
}
