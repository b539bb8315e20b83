import { newId } from '../db/new-id.ts';
import { insertBuildRules } from '../db/repositories/build-rule.ts';
import type { NamespaceWithInstance } from '../db/repositories/namespace.ts';
import { insertRepository } from '../db/repositories/repository.ts';
import type { RepositoryChange, RepositoryDefinition } from '../domain/repository.ts';
import { requireBuildSecrets } from './build-secret.ts';
import { requireBuilders } from './build-workers.ts';
import type { ApiDeps } from './deps.ts';
import { insertBinding, testSource } from './source.ts';
import { installHook } from './source-webhook.ts';
import type { Hook } from './source-webhook.ts';

type CreateRepositoryDeps = Pick<
  ApiDeps,
  | 'db'
  | 'clock'
  | 'config'
  | 'log'
  | 'secretBox'
  | 'git'
  | 'egressPolicy'
  | 'resolveHost'
  | 'sourceHosts'
  | 'sourceLogins'
>;

/** Everything is checked, then everything is stored in one transaction (docs/product.md, section 4, "Wizard"). */
export async function createRepository(
  deps: CreateRepositoryDeps,
  namespace: NamespaceWithInstance,
  definition: RepositoryDefinition,
): Promise<{ id: string; buildRules: string[]; hook: Hook | null }> {
  const { codeSource: binding } = definition;
  await requireBuilders(deps, { ownRegion: namespace.instance_region, ...definition });
  const account =
    binding === null
      ? null
      : await testSource(deps, { instanceId: namespace.instance_id, binding, pointer: '/codeSource' });
  const id = newId('crr');
  const { buildRules, bound } = await deps.db.transaction().execute(async (trx) => {
    await insertRepository(trx, namespace, {
      id,
      namespace_id: namespace.id,
      name: definition.name,
      ...repositoryColumns(namespace, definition),
      created_at: deps.clock(),
    });
    const bound =
      binding === null || account === null
        ? null
        : await insertBinding(trx, deps, { repositoryId: id, namespaceId: namespace.id, account, binding });
    await requireBuildSecrets(trx, {
      repositoryId: id,
      definitions: definition.buildRules,
      pointers: (index) => `/buildRules/${index}`,
    });
    const rules = await insertBuildRules(trx, {
      repositoryId: id,
      definitions: definition.buildRules,
      at: deps.clock(),
    });
    return { buildRules: rules.map((rule) => rule.id), bound };
  });
  const hook = bound === null ? null : await installHook(deps, bound.row, { newSecret: bound.secret });
  return { id, buildRules, hook };
}

/** What is left out takes the namespace's default. */
export function repositoryColumns(
  namespace: Pick<NamespaceWithInstance, 'default_repository_type' | 'default_tag_immutability'>,
  definition: RepositoryChange,
) {
  return {
    type: definition.type ?? namespace.default_repository_type,
    tag_immutability: definition.tagImmutability ?? namespace.default_tag_immutability,
    summary: definition.summary,
    description: definition.description,
    is_auto_build: definition.buildSettings.autoBuild,
    is_no_cache: definition.buildSettings.noCache,
    build_region: definition.buildSettings.buildRegion,
  };
}
