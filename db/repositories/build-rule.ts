import { sql } from 'kysely';
import type { BuildRuleDefinition } from '../../domain/build.ts';
import { notFound, quotaExceeded } from '../../domain/errors.ts';
import { editionQuotas } from '../../domain/instance.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { createdAfter, createdMs } from '../keyset.ts';
import { newId } from '../new-id.ts';
import type { BuildRuleRow, NotedStart } from '../tables/build.ts';

/**
 * Inserts rules of one repository, in their order. Throws 409 `quota.exceeded` when they would be more than the edition allows;
 * the lock of the repository's row makes counting and inserting one.
 */
export async function insertBuildRules(
  trx: DatabaseTransaction,
  { repositoryId, definitions, at }: { repositoryId: string; definitions: readonly BuildRuleDefinition[]; at: Date },
): Promise<BuildRuleRow[]> {
  const { edition } = await trx
    .selectFrom('repository')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .select('instance.edition')
    .where('repository.id', '=', repositoryId)
    .forUpdate('repository')
    .executeTakeFirstOrThrow();
  const limit = editionQuotas[edition].buildRulesPerRepository;
  const used = await countBuildRules(trx, repositoryId);
  if (used + definitions.length > limit) throw quotaExceeded('buildRulesPerRepository', limit, used);
  const rows: BuildRuleRow[] = [];
  for (const [index, definition] of definitions.entries()) {
    rows.push(
      await trx
        .insertInto('build_rule')
        .values({
          id: newId('crbr'),
          repository_id: repositoryId,
          definition: JSON.stringify(definition),
          enabled: definition.enabled,
          // One millisecond apart, so that they are listed in the order they were written.
          created_at: new Date(at.getTime() + index),
        })
        .returningAll()
        .executeTakeFirstOrThrow(),
    );
  }
  return rows;
}

async function countBuildRules(db: Database, repositoryId: string): Promise<number> {
  const { count } = await db
    .selectFrom('build_rule')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('repository_id', '=', repositoryId)
    .executeTakeFirstOrThrow();
  return count;
}

export async function findBuildRule(db: Database, id: string): Promise<BuildRuleRow | undefined> {
  return db.selectFrom('build_rule').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Throws 404 `build_rule.not_found`. */
export async function getBuildRule(db: Database, id: string): Promise<BuildRuleRow> {
  const rule = await findBuildRule(db, id);
  if (rule === undefined) throw notFound('build_rule', id);
  return rule;
}

/** The rule under a lock that lasts until the transaction ends. Throws 404 `build_rule.not_found`. */
export async function lockBuildRule(trx: DatabaseTransaction, id: string): Promise<BuildRuleRow> {
  const rule = await trx.selectFrom('build_rule').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  if (rule === undefined) throw notFound('build_rule', id);
  return rule;
}

/** The rules of a repository, oldest first. */
export async function listBuildRules(
  db: Database,
  repositoryId: string,
  { limit, after }: PageQuery,
): Promise<BuildRuleRow[]> {
  return db
    .selectFrom('build_rule')
    .selectAll()
    .where('repository_id', '=', repositoryId)
    .where(createdAfter('build_rule', after))
    .orderBy(createdMs('build_rule'))
    .orderBy('id')
    .limit(limit + 1)
    .execute();
}

/** Replaces the definition; the version grows. */
export async function updateBuildRule(
  db: Database,
  id: string,
  definition: BuildRuleDefinition,
): Promise<BuildRuleRow> {
  return db
    .updateTable('build_rule')
    .set((set) => ({
      definition: JSON.stringify(definition),
      enabled: definition.enabled,
      version: set('version', '+', 1),
    }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/**
 * Notes on the rule what became of its last automatic start; its version stays. A start told of twice keeps what was noted first
 * of its run.
 */
export async function noteAutomaticStart(db: Database, id: string, start: NotedStart): Promise<void> {
  await db
    .updateTable('build_rule')
    .set({ last_automatic_start: JSON.stringify(start) })
    .where('id', '=', id)
    .where(sql<boolean>`(${start.run}::text is null or last_automatic_start ->> 'run' is distinct from ${start.run})`)
    .execute();
}

export async function deleteBuildRule(db: Database, id: string): Promise<void> {
  await db.deleteFrom('build_rule').where('id', '=', id).execute();
}
