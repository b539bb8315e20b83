import type { BuildRuleDefinition } from '../../domain/build.ts';
import { coveringChain } from '../../domain/chain.ts';
import type { ChainDefinition, RepositoryRef } from '../../domain/chain.ts';
import { notFound } from '../../domain/errors.ts';
import { replicationCovers } from '../../domain/replicate.ts';
import type { ReplicationRuleSnapshot } from '../../domain/replicate.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { RunTrigger } from '../tables/record.ts';

/** A build rule with its id, as the row's `enabled` has it. */
export type IdentifiedBuildRule = BuildRuleDefinition & { readonly id: string };

/** An enabled chain that covers the repository, in its present version. */
export interface CoveringChain {
  readonly id: string;
  readonly version: number;
  readonly definition: ChainDefinition;
}

/** Everything a start of a run is decided by and that the run keeps; read again in the transaction that inserts the run. */
export interface RunContext {
  readonly repository: RepositoryRef;
  readonly isAutoBuild: boolean;
  readonly isCached: boolean;
  /** null: the instance's own region builds. */
  readonly buildRegion: string | null;
  readonly buildRules: readonly IdentifiedBuildRule[];
  /** null: no enabled chain covers the repository. */
  readonly chain: CoveringChain | null;
  readonly replicationRules: readonly ReplicationRuleSnapshot[];
  readonly triggers: readonly RunTrigger[];
}

/** Reads what a run of this repository would be made of, or undefined when there is no such repository. */
export async function findRunContext(
  db: Database | DatabaseTransaction,
  repositoryId: string,
): Promise<RunContext | undefined> {
  const row = await db
    .selectFrom('repository')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .where('repository.id', '=', repositoryId)
    .select([
      'repository.id',
      'repository.name',
      'repository.namespace_id as namespaceId',
      'namespace.name as namespace',
      'instance.id as instanceId',
      'instance.name as instance',
      'instance.region',
      'repository.is_auto_build as isAutoBuild',
      'repository.is_no_cache as isNoCache',
      'repository.build_region as buildRegion',
    ])
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { isAutoBuild, isNoCache, buildRegion, ...repository } = row;
  return {
    repository,
    isAutoBuild,
    isCached: !isNoCache,
    buildRegion,
    buildRules: await listRules(db, repository.id),
    chain: await findCoveringChain(db, repository),
    replicationRules: await listCoveringReplicationRules(db, repository),
    triggers: await listEnabledTriggers(db, repository),
  };
}

/** Throws 404 `repository.not_found`. */
export async function getRunContext(db: Database | DatabaseTransaction, repositoryId: string): Promise<RunContext> {
  const context = await findRunContext(db, repositoryId);
  if (context === undefined) throw notFound('repository', repositoryId);
  return context;
}

/** The build rules a push to the repository starts now, enabled ones alone; none where automatic builds are off. */
export async function listAutoBuildRules(db: Database, repositoryId: string): Promise<IdentifiedBuildRule[]> {
  const rows = await db
    .selectFrom('build_rule')
    .innerJoin('repository', 'repository.id', 'build_rule.repository_id')
    .select(['build_rule.id', 'build_rule.definition', 'build_rule.enabled'])
    .where('repository.id', '=', repositoryId)
    .where('repository.is_auto_build', '=', true)
    .where('build_rule.enabled', '=', true)
    .execute();
  return rows.map(({ id, definition, enabled }) => ({ ...definition, id, enabled }));
}

async function listRules(db: Database | DatabaseTransaction, repositoryId: string): Promise<IdentifiedBuildRule[]> {
  const rows = await db
    .selectFrom('build_rule')
    .select(['id', 'definition', 'enabled'])
    .where('repository_id', '=', repositoryId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(({ id, definition, enabled }) => ({ ...definition, id, enabled }));
}

async function findCoveringChain(
  db: Database | DatabaseTransaction,
  repository: RepositoryRef,
): Promise<CoveringChain | null> {
  const rows = await db
    .selectFrom('chain')
    .select(['id', 'version', 'definition'])
    .where('instance_id', '=', repository.instanceId)
    .where('enabled', '=', true)
    .execute();
  const chains = rows.map((row) => ({ ...row, scope: row.definition.scope, enabled: true }));
  const chain = coveringChain(chains, { namespace: repository.namespace, name: repository.name });
  return chain === undefined ? null : { id: chain.id, version: chain.version, definition: chain.definition };
}

async function listCoveringReplicationRules(
  db: Database | DatabaseTransaction,
  repository: RepositoryRef,
): Promise<ReplicationRuleSnapshot[]> {
  const rows = await db
    .selectFrom('replication_rule')
    .select(['id', 'definition'])
    .where('instance_id', '=', repository.instanceId)
    .where('enabled', '=', true)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows
    .map(({ id, definition }) => ({ id, definition: { ...definition, enabled: true } }))
    .filter(({ definition }) => definition.start === 'automatic' && replicationCovers(definition, repository));
}

async function listEnabledTriggers(
  db: Database | DatabaseTransaction,
  repository: RepositoryRef,
): Promise<RunTrigger[]> {
  const rows = await db
    .selectFrom('trigger')
    .select(['id', 'definition', 'secret_ref'])
    .where('enabled', '=', true)
    .where((eb) =>
      eb.or([
        eb('repository_id', '=', repository.id),
        eb.and([eb('repository_id', 'is', null), eb('namespace_id', '=', repository.namespaceId)]),
      ]),
    )
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(({ id, definition, secret_ref: secretRef }) => ({
    id,
    definition: { ...definition, enabled: true },
    secretRef,
  }));
}
