import { z } from '@hono/zod-openapi';
import { getInstance } from '../../db/repositories/instance.ts';
import {
  createNamespace,
  deleteNamespace,
  getNamespace,
  listNamespaces,
  namespaceUse,
  updateNamespace,
} from '../../db/repositories/namespace.ts';
import type { NamespaceWithInstance } from '../../db/repositories/namespace.ts';
import { listDoomedRepositories } from '../../db/repositories/repository.ts';
import { deleteSecrets, listOwnedSecrets } from '../../db/repositories/secret.ts';
import { listSourceBindings } from '../../db/repositories/source-binding.ts';
import { newId } from '../../db/new-id.ts';
import type { InstanceRow } from '../../db/tables/instance.ts';
import { conflict } from '../../domain/errors.ts';
import { namespaceSchema } from '../../domain/namespace.ts';
import type { NamespaceDefinition } from '../../domain/namespace.ts';
import type { ApiDeps } from '../deps.ts';
import { deleteImages } from '../delete-images.ts';
import { refuseChanged } from '../fixed-fields.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, instanceParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';
import { removeHooks } from '../source-webhook.ts';
import type { WebhookDeps } from '../source-webhook.ts';

const namespaceAnswer = z
  .object({
    id: z.string(),
    instance: z.string(),
    name: z.string(),
    autoCreateRepository: z.boolean(),
    defaultRepositoryType: z.enum(['public', 'private']),
    defaultTagImmutability: z.boolean(),
    createdAt: z.iso.datetime(),
  })
  .openapi('Namespace');

const example = {
  id: 'crn-8f2k1m9q0w3e5r7t',
  instance: 'hangzhou',
  name: 'shop',
  autoCreateRepository: true,
  defaultRepositoryType: 'private',
  defaultTagImmutability: false,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'repository/{instance}/{namespace}';

const list = route(
  { action: 'cr:ListNamespace', resource: 'repository/{instance}', example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/instances/{instance}/namespaces',
    summary: 'List the namespaces of an instance',
    request: { params: instanceParam, query: pageQuery },
    responses: { 200: json(pageOf(namespaceAnswer), 'Namespaces by name.') },
  },
);
const create = route(
  { action: 'cr:CreateNamespace', resource: 'repository/{instance}', example },
  {
    method: 'post',
    path: '/instances/{instance}/namespaces',
    summary: 'Create a namespace',
    request: { params: instanceParam, body: jsonBody(namespaceSchema) },
    responses: { 201: json(namespaceAnswer, 'Created.') },
  },
);
const read = route(
  { action: 'cr:GetNamespace', resource, example },
  {
    method: 'get',
    path: '/namespaces/{id}',
    summary: 'Read a namespace',
    request: { params: idParam },
    responses: { 200: json(namespaceAnswer, 'The namespace.') },
  },
);
const replace = route(
  { action: 'cr:UpdateNamespace', resource, example },
  {
    method: 'put',
    path: '/namespaces/{id}',
    summary: 'Change a namespace; its name is fixed',
    request: { params: idParam, body: jsonBody(namespaceSchema) },
    responses: { 200: json(namespaceAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteNamespace', resource, example: null },
  {
    method: 'delete',
    path: '/namespaces/{id}',
    summary: 'Delete a namespace with its repositories and images',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);

type NamespaceDeps = Pick<ApiDeps, 'db' | 'clock' | 'cursors' | 'registries'> & WebhookDeps;

/** Namespaces (docs/product.md, section 3). */
export function namespaceRoutes(deps: NamespaceDeps) {
  const { db, cursors } = deps;
  return newRoutes('namespace')
    .openapi(list, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const query = c.req.valid('query');
      const filters = ['namespaces', instance.id];
      const rows = await listNamespaces(db, instance.id, cursors.read(query, filters));
      const cursorOf = ({ name, id }: NamespaceWithInstance) => cursors.write({ key: name, id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiNamespace, cursorOf }), 200);
    })
    .openapi(create, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      return c.json(toApiNamespace(await addNamespace(deps, instance, c.req.valid('json'))), 201);
    })
    .openapi(read, async (c) => c.json(toApiNamespace(await getNamespace(db, c.req.valid('param').id)), 200))
    .openapi(replace, async (c) => {
      const namespace = await getNamespace(db, c.req.valid('param').id);
      const { name, ...definition } = c.req.valid('json');
      refuseChanged('namespace', [{ field: 'name', now: namespace.name, asked: name }]);
      await updateNamespace(db, namespace.id, toColumns(definition));
      return c.json(toApiNamespace(await getNamespace(db, namespace.id)), 200);
    })
    .openapi(remove, async (c) => {
      await removeNamespace(deps, await getNamespace(db, c.req.valid('param').id));
      return c.body(null, 204);
    });
}

async function addNamespace(
  { db, clock }: NamespaceDeps,
  instance: InstanceRow,
  { name, ...definition }: NamespaceDefinition,
): Promise<NamespaceWithInstance> {
  if (instance.kind === 'external')
    throw conflict(
      'namespace.needs_managed_instance',
      `The instance "${instance.name}" is external: images are copied to it, nothing is kept about it here. Choose a managed instance.`,
    );
  const row = await createNamespace(db, instance, {
    id: newId('crn'),
    instance_id: instance.id,
    name,
    ...toColumns(definition),
    created_at: clock(),
  });
  return { ...row, instance: instance.name, instance_region: instance.region };
}

function toColumns(definition: Omit<NamespaceDefinition, 'name'>) {
  return {
    auto_create_repository: definition.autoCreateRepository,
    default_repository_type: definition.defaultRepositoryType,
    default_tag_immutability: definition.defaultTagImmutability,
  };
}

async function removeNamespace(deps: NamespaceDeps, namespace: NamespaceWithInstance): Promise<void> {
  const { db } = deps;
  const use = await namespaceUse(db, namespace);
  if (use !== undefined)
    throw conflict(
      'namespace.in_use',
      `The namespace "${namespace.name}" is in use: ${use}. End or change that first.`,
    );
  await deleteImages(deps, await listDoomedRepositories(db, { namespaceId: namespace.id }));
  await removeHooks(deps, await listSourceBindings(db, namespace.id));
  await db.transaction().execute(async (trx) => {
    const secrets = await listOwnedSecrets(trx, namespace.id);
    await deleteNamespace(trx, namespace.id);
    await deleteSecrets(trx, secrets);
  });
}

function toApiNamespace(row: NamespaceWithInstance): z.infer<typeof namespaceAnswer> {
  return {
    id: row.id,
    instance: row.instance,
    name: row.name,
    autoCreateRepository: row.auto_create_repository,
    defaultRepositoryType: row.default_repository_type,
    defaultTagImmutability: row.default_tag_immutability,
    createdAt: row.created_at.toISOString(),
  };
}
