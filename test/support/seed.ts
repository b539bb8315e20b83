import { randomBytes } from 'node:crypto';
import type { SecretBox } from '../../activities/drivers/secret-box.ts';
import type { Database } from '../../db/database.ts';
import { newId } from '../../db/new-id.ts';
import { insertSecret } from '../../db/repositories/secret.ts';
import { buildRuleSchema } from '../../domain/build.ts';
import { chainSchema } from '../../domain/chain.ts';
import { replicationRuleSchema } from '../../domain/replicate.ts';
import type { SourceHost } from '../../domain/source.ts';
import { triggerSchema } from '../../domain/trigger.ts';

/** A repository bound to its code, straight in the database: what tests of runs start from. */
export interface SeededRepository {
  readonly id: string;
  readonly name: string;
  readonly namespaceId: string;
  readonly namespace: string;
  readonly instanceId: string;
  readonly instance: string;
  readonly hookId: string;
  readonly hookSecret: string;
}

/** Inserts an instance, a namespace and a repository `<namespace>/app` bound to `acme/app` at a source host. */
export async function seedRepository(
  db: Database,
  secretBox: Pick<SecretBox, 'seal' | 'open'>,
  { host = 'github', isAutoBuild = true }: { host?: SourceHost; isAutoBuild?: boolean } = {},
): Promise<SeededRepository> {
  const instanceId = newId('cri');
  const namespaceId = newId('crn');
  const id = newId('crr');
  const accountId = newId('src');
  const suffix = randomBytes(4).toString('hex');
  const [instance, namespace, name] = [`hangzhou-${suffix}`, `team-${suffix}`, 'app'];
  const hookId = randomBytes(16).toString('hex');
  const hookSecret = `whsec_${randomBytes(32).toString('base64')}`;
  await db
    .insertInto('instance')
    .values({
      id: instanceId,
      name: instance,
      region: 'cn-hangzhou',
      kind: 'managed',
      registry_url: 'http://127.0.0.1:5000',
      edition: 'advanced',
      status: 'running',
      credential_ref: null,
    })
    .execute();
  await db
    .insertInto('namespace')
    .values({
      id: namespaceId,
      instance_id: instanceId,
      name: namespace,
      auto_create_repository: true,
      default_repository_type: 'private',
      default_tag_immutability: false,
    })
    .execute();
  await db
    .insertInto('repository')
    .values({
      id,
      namespace_id: namespaceId,
      name,
      type: 'private',
      tag_immutability: false,
      summary: '',
      description: '',
      is_auto_build: isAutoBuild,
      is_no_cache: false,
    })
    .execute();
  await db
    .insertInto('source_account')
    .values({
      id: accountId,
      instance_id: instanceId,
      host,
      base_url: 'https://code.example.com',
      credential_ref: null,
    })
    .execute();
  const hookSecretRef = await insertSecret(db, secretBox, { ownerId: namespaceId, kind: 'hook', value: hookSecret });
  await db
    .insertInto('source_binding')
    .values({
      repository_id: id,
      source_account_id: accountId,
      code_namespace: 'acme',
      code_repository: 'app',
      hook_id: hookId,
      hook_secret_ref: hookSecretRef,
    })
    .execute();
  return { id, name, namespaceId, namespace, instanceId, instance, hookId, hookSecret };
}

/** Inserts a build rule of the repository; `definition` is what a user would send. */
export async function seedBuildRule(db: Database, repositoryId: string, definition: unknown): Promise<string> {
  const id = newId('crbr');
  const rule = buildRuleSchema.parse(definition);
  await db
    .insertInto('build_rule')
    .values({ id, repository_id: repositoryId, definition: JSON.stringify(rule), enabled: rule.enabled })
    .execute();
  return id;
}

/** Inserts a chain of the repository's instance; every node is on unless `definition` says otherwise. */
export async function seedChain(
  db: Database,
  instanceId: string,
  definition: Readonly<Record<string, unknown>>,
): Promise<string> {
  const id = newId('chi');
  const chain = chainSchema.parse({ nodes: { build: {}, scan: {}, replicate: {}, trigger: {} }, ...definition });
  const { namespace, repository } = chain.scope;
  await db
    .insertInto('chain')
    .values({
      id,
      instance_id: instanceId,
      name: chain.name,
      definition: JSON.stringify(chain),
      scope_key: `${namespace ?? ''}/${repository ?? ''}`,
      enabled: chain.enabled,
    })
    .execute();
  return id;
}

/** Inserts a trigger of the repository, with a signing secret. */
export async function seedTrigger(
  db: Database,
  secretBox: Pick<SecretBox, 'seal' | 'open'>,
  { id: repositoryId, namespaceId }: Pick<SeededRepository, 'id' | 'namespaceId'>,
  definition: unknown,
): Promise<string> {
  const id = newId('crw');
  const trigger = triggerSchema.parse(definition);
  const value = `whsec_${randomBytes(32).toString('base64')}`;
  await db
    .insertInto('trigger')
    .values({
      id,
      namespace_id: namespaceId,
      repository_id: repositoryId,
      name: trigger.name,
      definition: JSON.stringify(trigger),
      secret_ref: await insertSecret(db, secretBox, { ownerId: namespaceId, kind: 'trigger', value }),
      enabled: trigger.enabled,
      disabled_reason: JSON.stringify(null),
      first_failure_at: null,
    })
    .execute();
  return id;
}

/** Inserts a replication rule of the instance. */
export async function seedReplicationRule(db: Database, instanceId: string, definition: unknown): Promise<string> {
  const id = newId('crsr');
  const rule = replicationRuleSchema.parse(definition);
  await db
    .insertInto('replication_rule')
    .values({
      id,
      instance_id: instanceId,
      name: rule.name,
      definition: JSON.stringify(rule),
      enabled: rule.enabled,
    })
    .execute();
  return id;
}
