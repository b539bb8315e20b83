import type { LoginAccess } from '../activities/drivers/login-token.ts';
import type { RegistryGrant } from '../activities/drivers/registry-token.ts';
import type { Database } from '../db/database.ts';
import { findNamespace } from '../db/repositories/namespace.ts';
import { findRepository, insertRepositoryIfMissing } from '../db/repositories/repository.ts';
import { newId } from '../db/new-id.ts';
import { buildCacheNamespace } from '../domain/build-cache.ts';
import { coversPath, registryActions, splitPath } from '../domain/registry-scope.ts';
import type { RegistryAction, RegistryScope } from '../domain/registry-scope.ts';

/** Who asks for a registry token, and how far it may reach. */
export type RegistryCaller =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'administrator' }
  | { readonly kind: 'login'; readonly subject: string; readonly access: LoginAccess };

/** What `docker login` and a pull see of one repository that is asked for. */
interface AskedRepository {
  readonly isPublic: boolean;
  /** Whether a push may go there: it exists, or its namespace makes it. */
  readonly isPushable: boolean;
}

/**
 * What of the asked scopes the caller gets: the intersection, never an error (docs/product.md, section 2, "Credentials").
 * A push to a repository its namespace makes by itself makes it here, with the namespace's defaults.
 */
export async function grantScopes(
  db: Database,
  instanceId: string,
  { caller, scopes }: { caller: RegistryCaller; scopes: readonly RegistryScope[] },
): Promise<RegistryGrant[]> {
  const grants: RegistryGrant[] = [];
  for (const scope of scopes) {
    const actions = await grantedActions(db, instanceId, { caller, scope });
    if (actions.length > 0) grants.push({ type: scope.type, name: scope.name, actions });
  }
  return grants;
}

async function grantedActions(
  db: Database,
  instanceId: string,
  { caller, scope }: { caller: RegistryCaller; scope: RegistryScope },
): Promise<readonly string[]> {
  if (scope.type === 'registry') return caller.kind === 'administrator' && scope.name === 'catalog' ? ['*'] : [];
  const path = splitPath(scope.name);
  if (scope.type !== 'repository' || path === undefined) return [];
  const asked = askedActions(scope).filter((action) => isAllowed(caller, scope.name, action) || action === 'pull');
  if (asked.length === 0) return [];
  const place = { instanceId, ...path };
  const repository = await readRepository(db, place);
  const actions = asked.filter((action) => {
    if (action === 'pull') return repository.isPublic || isAllowed(caller, scope.name, 'pull');
    return repository.isPushable;
  });
  if (actions.includes('push')) await makeRepository(db, place);
  return actions;
}

/** `*` asks for everything. */
function askedActions({ actions }: RegistryScope): readonly RegistryAction[] {
  return actions.includes('*') ? registryActions : registryActions.filter((action) => actions.includes(action));
}

function isAllowed(caller: RegistryCaller, path: string, action: RegistryAction): boolean {
  switch (caller.kind) {
    case 'anonymous':
      return false;
    case 'administrator':
      return true;
    case 'login':
      return caller.access.some((rule) => coversPath(rule.repository, path) && rule.actions.includes(action));
  }
}

interface Place {
  readonly instanceId: string;
  readonly namespace: string;
  readonly name: string;
}

/** The probe of an instance check and the remote caches belong to no namespace: only a login that names them gets there. */
const unlistedNamespaces = ['slipway-check', buildCacheNamespace];

async function readRepository(db: Database, place: Place): Promise<AskedRepository> {
  if (unlistedNamespaces.includes(place.namespace)) return { isPublic: false, isPushable: true };
  const repository = await findRepository(db, place);
  if (repository !== undefined) return { isPublic: repository.type === 'public', isPushable: true };
  const namespace = await findNamespace(db, { instanceId: place.instanceId, name: place.namespace });
  return { isPublic: false, isPushable: namespace?.auto_create_repository ?? false };
}

async function makeRepository(db: Database, place: Place): Promise<void> {
  const namespace = await findNamespace(db, { instanceId: place.instanceId, name: place.namespace });
  if (namespace === undefined || !namespace.auto_create_repository) return;
  await insertRepositoryIfMissing(db, {
    id: newId('crr'),
    namespace_id: namespace.id,
    name: place.name,
    type: namespace.default_repository_type,
    tag_immutability: namespace.default_tag_immutability,
    summary: 'Automatically created repository',
    description: '',
    is_auto_build: true,
    is_no_cache: false,
  });
}
