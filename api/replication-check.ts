import type { Database } from '../db/database.ts';
import { findInstance } from '../db/repositories/instance.ts';
import { findNamespace } from '../db/repositories/namespace.ts';
import { findRepository } from '../db/repositories/repository.ts';
import type { InstanceRow } from '../db/tables/instance.ts';
import { invalidRequest } from '../domain/errors.ts';
import type { ReplicationRuleDefinition } from '../domain/replicate.ts';

type Instance = { readonly id: string; readonly name: string };

/**
 * Checks that what a rule copies from and to exists (docs/product.md, section 10), and answers it with the destination by name.
 * Throws 422 with `replication.namespace_invalid`, `.repository_invalid`, `.instance_invalid`, `.region_invalid`,
 * `.destination_is_source` or `.destination_missing`.
 */
export async function checkPlaces(
  db: Database,
  source: Instance,
  definition: ReplicationRuleDefinition,
): Promise<ReplicationRuleDefinition> {
  await checkSource(db, source, definition);
  const destination = await findInstance(db, definition.destination.instance);
  if (destination === undefined)
    throw invalid(
      '/destination/instance',
      'replication.instance_invalid',
      `There is no instance "${definition.destination.instance}". Create it first, or choose another.`,
    );
  if (destination.id === source.id)
    throw invalid(
      '/destination/instance',
      'replication.destination_is_source',
      `"${destination.name}" is the instance the rule copies from. Choose another as its destination.`,
    );
  if (destination.region !== definition.destination.region)
    throw invalid(
      '/destination/region',
      'replication.region_invalid',
      `The instance "${destination.name}" is in the region "${destination.region}", not in "${definition.destination.region}". Correct one of them.`,
    );
  await checkDestination(db, destination, definition);
  return { ...definition, destination: { ...definition.destination, instance: destination.name } };
}

async function checkSource(db: Database, instance: Instance, { source }: ReplicationRuleDefinition): Promise<void> {
  if ((await findNamespace(db, { instanceId: instance.id, name: source.namespace })) === undefined)
    throw invalid(
      '/source/namespace',
      'replication.namespace_invalid',
      `The instance "${instance.name}" has no namespace "${source.namespace}". Create it first, or choose another.`,
    );
  if (source.repository === null) return;
  const path = { instanceId: instance.id, namespace: source.namespace, name: source.repository };
  if ((await findRepository(db, path)) !== undefined) return;
  throw invalid(
    '/source/repository',
    'replication.repository_invalid',
    `The namespace "${source.namespace}" has no repository "${source.repository}". Create it first, or choose another.`,
  );
}

/** An external registry keeps its own order; in a managed instance the place must be there, or be made by the first push. */
async function checkDestination(
  db: Database,
  instance: InstanceRow,
  { level, source, destination }: ReplicationRuleDefinition,
): Promise<void> {
  if (instance.kind === 'external') return;
  const name = destination.namespace ?? source.namespace;
  const namespace = await findNamespace(db, { instanceId: instance.id, name });
  if (namespace === undefined)
    throw invalid(
      '/destination/namespace',
      'replication.destination_missing',
      `The instance "${instance.name}" has no namespace "${name}". Create it there first, or name another.`,
    );
  if (namespace.auto_create_repository || level === 'namespace') return;
  const repository = destination.repository ?? source.repository ?? '';
  if ((await findRepository(db, { instanceId: instance.id, namespace: name, name: repository })) !== undefined) return;
  throw invalid(
    '/destination/repository',
    'replication.destination_missing',
    `The namespace "${name}" of "${instance.name}" has no repository "${repository}" and makes none by itself. Create it there first, or turn autoCreateRepository on.`,
  );
}

function invalid(pointer: string, code: string, message: string) {
  return invalidRequest([{ pointer, code, message }]);
}
