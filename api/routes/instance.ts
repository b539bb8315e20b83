import { z } from '@hono/zod-openapi';
import {
  countInstancesByRegion,
  deleteInstance,
  getInstance,
  insertInstance,
  instanceUse,
  listInstances,
  updateInstance,
} from '../../db/repositories/instance.ts';
import { insertNamespace } from '../../db/repositories/namespace.ts';
import { deleteSecrets, insertSecret } from '../../db/repositories/secret.ts';
import type { Database } from '../../db/database.ts';
import { newId } from '../../db/new-id.ts';
import type { InstanceRow } from '../../db/tables/instance.ts';
import { conflict, invalidRequest } from '../../domain/errors.ts';
import { baseImageNamespace, instanceSchema } from '../../domain/instance.ts';
import type { InstanceDefinition } from '../../domain/instance.ts';
import type { ApiDeps } from '../deps.ts';
import { checkUrl } from '../egress-check.ts';
import { refuseChanged } from '../fixed-fields.ts';
import { checkInstance, checkSchema } from '../instance-check.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { instanceParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';

const instanceAnswer = z
  .object({
    id: z.string(),
    name: z.string(),
    region: z.string(),
    kind: z.enum(['managed', 'external']),
    registryUrl: z.url(),
    edition: z.enum(['personal', 'basic', 'advanced']),
    status: z.enum(['running', 'stopped']),
    hasCredentials: z.boolean().openapi({ description: 'Whether a login is stored; it is never answered.' }),
    createdAt: z.iso.datetime(),
  })
  .openapi('Instance');

const example = {
  id: 'cri-8f2k1m9q0w3e5r7t',
  name: 'hangzhou',
  region: 'cn-hangzhou',
  kind: 'managed',
  registryUrl: 'https://registry.example.com',
  edition: 'advanced',
  status: 'running',
  hasCredentials: false,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'instance/{instance}';

const list = route(
  { action: 'cr:ListInstance', resource: 'instance/*', example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/instances',
    summary: 'List instances',
    request: { query: pageQuery.extend({ region: z.string().optional() }) },
    responses: { 200: json(pageOf(instanceAnswer), 'Instances by name.') },
  },
);
const create = route(
  { action: 'cr:CreateInstance', resource: 'instance/*', example },
  {
    method: 'post',
    path: '/instances',
    summary: 'Register a registry as an instance',
    request: { body: jsonBody(instanceSchema) },
    responses: { 201: json(instanceAnswer, 'Registered.') },
  },
);
const read = route(
  { action: 'cr:GetInstance', resource, example },
  {
    method: 'get',
    path: '/instances/{instance}',
    summary: 'Read an instance',
    request: { params: instanceParam },
    responses: { 200: json(instanceAnswer, 'The instance.') },
  },
);
const replace = route(
  { action: 'cr:UpdateInstance', resource, example },
  {
    method: 'put',
    path: '/instances/{instance}',
    summary: 'Change address and credentials; name, region and kind are fixed',
    request: { params: instanceParam, body: jsonBody(instanceSchema) },
    responses: { 200: json(instanceAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteInstance', resource, example: null },
  {
    method: 'delete',
    path: '/instances/{instance}',
    summary: 'Forget an empty instance; its registry is left as it is',
    request: { params: instanceParam },
    responses: { 204: noContent },
  },
);
const check = route(
  {
    action: 'cr:GetInstance',
    resource,
    example: { ok: true, latencyMs: 12, checks: [{ name: 'connect', ok: true, detail: 'Answers in 12 ms.' }] },
  },
  {
    method: 'post',
    path: '/instances/{instance}/check',
    summary: 'Connect, log in, push a probe, pull it, delete it',
    request: { params: instanceParam },
    responses: { 200: json(checkSchema, 'What worked and what did not.') },
  },
);
const regions = route(
  { action: 'cr:ListInstance', resource: '*', example: { items: [{ id: 'cn-hangzhou', instances: 1 }] } },
  {
    method: 'get',
    path: '/regions',
    summary: 'List the configured regions',
    responses: {
      200: json(
        z.object({ items: z.array(z.object({ id: z.string(), instances: z.int() })) }),
        'Regions with their number of instances.',
      ),
    },
  },
);

type InstanceDeps = Pick<
  ApiDeps,
  'db' | 'clock' | 'config' | 'cursors' | 'secretBox' | 'egressPolicy' | 'resolveHost' | 'registries'
>;

/** Instances and regions (docs/product.md, section 2). */
export function instanceRoutes(deps: InstanceDeps) {
  const { db, cursors } = deps;
  return newRoutes('instance')
    .openapi(list, async (c) => {
      const { region, ...query } = c.req.valid('query');
      const filters = ['instances', region];
      const rows = await listInstances(db, { region }, cursors.read(query, filters));
      const cursorOf = ({ name, id }: InstanceRow) => cursors.write({ key: name, id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiInstance, cursorOf }), 200);
    })
    .openapi(create, async (c) => c.json(toApiInstance(await createInstance(deps, c.req.valid('json'))), 201))
    .openapi(read, async (c) => c.json(toApiInstance(await getInstance(db, c.req.valid('param').instance)), 200))
    .openapi(replace, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      return c.json(toApiInstance(await replaceInstance(deps, instance, c.req.valid('json'))), 200);
    })
    .openapi(remove, async (c) => {
      await removeInstance(db, await getInstance(db, c.req.valid('param').instance));
      return c.body(null, 204);
    })
    .openapi(check, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      return c.json(await checkInstance(deps, { instance: instance.name, signal: c.req.raw.signal }), 200);
    })
    .openapi(regions, async (c) => {
      const counts = await countInstancesByRegion(db);
      const items = deps.config.SLIPWAY_REGIONS.map((id) => ({ id, instances: counts.get(id) ?? 0 }));
      return c.json({ items }, 200);
    });
}

async function createInstance(deps: InstanceDeps, definition: InstanceDefinition): Promise<InstanceRow> {
  checkRegion(deps, definition.region);
  await checkUrl(deps, { url: definition.registryUrl, pointer: '/registryUrl' });
  const id = newId('cri');
  return deps.db.transaction().execute(async (trx) => {
    const instance = await insertInstance(trx, {
      id,
      name: definition.name,
      region: definition.region,
      kind: definition.kind,
      registry_url: definition.registryUrl,
      edition: 'advanced',
      status: 'running',
      credential_ref: await sealCredentials(trx, deps, { id, credentials: definition.credentials }),
      created_at: deps.clock(),
    });
    if (definition.kind === 'managed') await insertBaseImageNamespace(trx, instance);
    return instance;
  });
}

function checkRegion({ config }: InstanceDeps, region: string): void {
  if (config.SLIPWAY_REGIONS.includes(region)) return;
  throw invalidRequest([
    {
      pointer: '/region',
      code: 'instance.region_unknown',
      message: `There is no region "${region}". Choose one of ${config.SLIPWAY_REGIONS.join(', ')}, or have the administrator add it.`,
    },
  ]);
}

/** Hosted base images are pulled by builds without a login (docs/product.md, section 7, "Hosted base images"). */
async function insertBaseImageNamespace(trx: Database, { id, name }: InstanceRow): Promise<void> {
  await insertNamespace(trx, name, {
    id: newId('crn'),
    instance_id: id,
    name: baseImageNamespace,
    auto_create_repository: true,
    default_repository_type: 'public',
    default_tag_immutability: false,
  });
}

function sealCredentials(
  trx: Database,
  { secretBox }: InstanceDeps,
  { id, credentials }: { id: string; credentials: InstanceDefinition['credentials'] },
): Promise<string | null> {
  if (credentials === null || credentials === undefined) return Promise.resolve(null);
  return insertSecret(trx, secretBox, { ownerId: id, kind: 'instance', value: JSON.stringify(credentials) });
}

/** An omitted credential stays, `null` clears it. */
async function replaceInstance(
  deps: InstanceDeps,
  instance: InstanceRow,
  definition: InstanceDefinition,
): Promise<InstanceRow> {
  refuseChanged('instance', [
    { field: 'name', now: instance.name, asked: definition.name },
    { field: 'region', now: instance.region, asked: definition.region },
    { field: 'kind', now: instance.kind, asked: definition.kind },
  ]);
  await checkUrl(deps, { url: definition.registryUrl, pointer: '/registryUrl' });
  const isKept = definition.credentials === undefined;
  if (isKept) refuseElsewhere(instance, definition);
  return deps.db.transaction().execute(async (trx) => {
    const credentialRef = isKept
      ? instance.credential_ref
      : await sealCredentials(trx, deps, { id: instance.id, credentials: definition.credentials });
    const updated = await updateInstance(trx, instance.id, {
      registry_url: definition.registryUrl,
      credential_ref: credentialRef,
    });
    if (!isKept && instance.credential_ref !== null) await deleteSecrets(trx, [instance.credential_ref]);
    return updated;
  });
}

/** Whoever may change the address could otherwise read a login that was given for another registry. */
function refuseElsewhere(instance: InstanceRow, { registryUrl }: InstanceDefinition): void {
  if (instance.credential_ref === null || new URL(instance.registry_url).origin === new URL(registryUrl).origin) return;
  throw invalidRequest([
    {
      pointer: '/credentials',
      code: 'instance.credentials_needed',
      message:
        'The address is that of another registry, and the stored login was given for this one. Enter it again, or null to go on without.',
    },
  ]);
}

async function removeInstance(db: Database, instance: InstanceRow): Promise<void> {
  const use = await instanceUse(db, instance);
  if (use !== undefined)
    throw conflict('instance.in_use', `The instance "${instance.name}" is in use by ${use}. Delete that first.`);
  await db.transaction().execute(async (trx) => {
    await deleteInstance(trx, instance.id);
    if (instance.credential_ref !== null) await deleteSecrets(trx, [instance.credential_ref]);
  });
}

function toApiInstance(row: InstanceRow): z.infer<typeof instanceAnswer> {
  return {
    id: row.id,
    name: row.name,
    region: row.region,
    kind: row.kind,
    registryUrl: row.registry_url,
    edition: row.edition,
    status: row.status,
    hasCredentials: row.credential_ref !== null,
    createdAt: row.created_at.toISOString(),
  };
}
