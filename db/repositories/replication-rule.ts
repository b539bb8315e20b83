import { sql } from 'kysely';
import { alreadyExists, notFound, quotaExceeded } from '../../domain/errors.ts';
import { limits } from '../../domain/limits.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { ReplicationRuleDefinition } from '../../domain/replicate.ts';
import { refusing } from '../constraint.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { newId } from '../new-id.ts';
import type { ReplicationRuleRow } from '../tables/replicate.ts';

/** A rule with the name of its instance. */
export interface ReplicationRuleWithInstance extends ReplicationRuleRow {
  readonly instance: string;
}

type Instance = { readonly id: string; readonly name: string };

/** Throws 409 `replication_rule.exists`, or `quota.exceeded` past the number a source namespace may have. */
export async function insertReplicationRule(
  trx: DatabaseTransaction,
  instance: Instance,
  { definition, at }: { definition: ReplicationRuleDefinition; at: Date },
): Promise<ReplicationRuleRow> {
  const used = await countRules(trx, instance.id, definition.source.namespace);
  const limit = limits.replicationRulesPerNamespace;
  if (used >= limit) throw quotaExceeded('replicationRulesPerNamespace', limit, used);
  return refusingTaken(instance, definition, () =>
    trx
      .insertInto('replication_rule')
      .values({
        id: newId('crsr'),
        instance_id: instance.id,
        name: definition.name,
        definition: JSON.stringify(definition),
        enabled: definition.enabled,
        created_at: at,
      })
      .returningAll()
      .executeTakeFirstOrThrow(),
  );
}

/** Replaces the definition; the version grows. Throws 409 `replication_rule.exists`. */
export async function updateReplicationRule(
  trx: DatabaseTransaction,
  { id, instance_id: instanceId, instance }: ReplicationRuleWithInstance,
  definition: ReplicationRuleDefinition,
): Promise<ReplicationRuleRow> {
  return refusingTaken({ id: instanceId, name: instance }, definition, () =>
    trx
      .updateTable('replication_rule')
      .set((set) => ({
        name: definition.name,
        definition: JSON.stringify(definition),
        enabled: definition.enabled,
        version: set('version', '+', 1),
      }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow(),
  );
}

function refusingTaken(
  instance: Instance,
  { name }: ReplicationRuleDefinition,
  write: () => Promise<ReplicationRuleRow>,
): Promise<ReplicationRuleRow> {
  return refusing(
    'replication_rule_instance_id_name_key',
    () => alreadyExists('replication_rule', name, `The instance "${instance.name}"`),
    write,
  );
}

async function countRules(db: Database, instanceId: string, namespace: string): Promise<number> {
  const { count } = await db
    .selectFrom('replication_rule')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('instance_id', '=', instanceId)
    .where(sql<boolean>`definition #>> '{source,namespace}' = ${namespace}`)
    .executeTakeFirstOrThrow();
  return count;
}

/** Makes checking all rules against each other and writing one of them a single step, across instances. */
export async function lockReplicationRules(trx: DatabaseTransaction): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('slipway.replication_rule'))`.execute(trx);
}

/** Throws 404 `replication_rule.not_found`. */
export async function getReplicationRule(db: Database, id: string): Promise<ReplicationRuleWithInstance> {
  const rule = await withInstance(db).where('replication_rule.id', '=', id).executeTakeFirst();
  if (rule === undefined) throw notFound('replication_rule', id);
  return rule;
}

/** Every rule there is, of all instances; a circle may go through any of them. */
export async function listAllReplicationRules(db: Database): Promise<ReplicationRuleWithInstance[]> {
  return withInstance(db).execute();
}

/** The rules of an instance by name. */
export async function listReplicationRules(
  db: Database,
  instanceId: string,
  { limit, after }: PageQuery,
): Promise<ReplicationRuleWithInstance[]> {
  let query = withInstance(db).where('replication_rule.instance_id', '=', instanceId);
  if (after !== undefined) query = query.where('replication_rule.name', '>', after.key);
  return query
    .orderBy('replication_rule.name')
    .limit(limit + 1)
    .execute();
}

export async function deleteReplicationRule(db: Database, id: string): Promise<void> {
  await db.deleteFrom('replication_rule').where('id', '=', id).execute();
}

function withInstance(db: Database) {
  return db
    .selectFrom('replication_rule')
    .innerJoin('instance', 'instance.id', 'replication_rule.instance_id')
    .selectAll('replication_rule')
    .select('instance.name as instance');
}
