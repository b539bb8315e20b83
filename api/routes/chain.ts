import { isDeepStrictEqual } from 'node:util';
import { z } from '@hono/zod-openapi';
import {
  deleteChain,
  getChain,
  insertChain,
  listChainVersions,
  listChains,
  lockChain,
  updateChain,
} from '../../db/repositories/chain.ts';
import type { ChainWithInstance } from '../../db/repositories/chain.ts';
import { getInstance } from '../../db/repositories/instance.ts';
import { findNamespace } from '../../db/repositories/namespace.ts';
import { findRepository } from '../../db/repositories/repository.ts';
import type { Database } from '../../db/database.ts';
import type { ChainVersionRow } from '../../db/tables/chain.ts';
import type { InstanceRow } from '../../db/tables/instance.ts';
import { chainSchema } from '../../domain/chain.ts';
import type { ChainDefinition } from '../../domain/chain.ts';
import { conflict, invalidRequest } from '../../domain/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { isUnchanged, requireMatch, setEtag } from '../etag.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, instanceParam, json, jsonBody, newRoutes, noContent, notModified, route } from '../route.ts';

const chainAnswer = z
  .object({
    id: z.string(),
    instance: z.string(),
    ...chainSchema.shape,
    version: z.int(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .openapi('Chain');
const versionAnswer = z
  .object({ version: z.int(), ...chainSchema.shape, createdAt: z.iso.datetime() })
  .openapi('ChainVersion');

const definitionExample = {
  name: 'main',
  description: '',
  scope: { namespace: 'shop', repository: 'web', allEffective: null, exclude: [] },
  nodes: {
    build: {},
    push: {},
    scan: {
      ...chainSchema.shape.nodes.parse(undefined).scan,
      strategy: 'blocking',
      severity: 'high',
      vulnerabilities: 1,
    },
    replicate: {},
    trigger: {},
  },
  concurrency: null,
  enabled: true,
};
const example = {
  id: 'chi-8f2k1m9q0w3e5r7t',
  instance: 'hangzhou',
  ...definitionExample,
  version: 1,
  createdAt: '2026-11-21T12:00:00.000Z',
  updatedAt: '2026-11-21T12:00:00.000Z',
};
const versionExample = { version: 1, ...definitionExample, createdAt: '2026-11-21T12:00:00.000Z' };
const resource = 'instance/{instance}';

const list = route(
  { action: 'cr:ListChain', resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/instances/{instance}/chains',
    summary: 'List the delivery chains of an instance',
    request: { params: instanceParam, query: pageQuery },
    responses: { 200: json(pageOf(chainAnswer), 'Chains by name.') },
  },
);
const create = route(
  { action: 'cr:CreateChain', resource, example },
  {
    method: 'post',
    path: '/instances/{instance}/chains',
    summary: 'Create a delivery chain',
    request: { params: instanceParam, body: jsonBody(chainSchema) },
    responses: { 201: json(chainAnswer, 'Created.') },
  },
);
const read = route(
  { action: 'cr:GetChain', resource, example },
  {
    method: 'get',
    path: '/chains/{id}',
    summary: 'Read a delivery chain',
    request: { params: idParam },
    responses: { 200: json(chainAnswer, 'The chain.'), 304: notModified },
  },
);
const replace = route(
  { action: 'cr:UpdateChain', resource, example },
  {
    method: 'put',
    path: '/chains/{id}',
    summary: 'Change a delivery chain; runs under way keep their version',
    request: { params: idParam, body: jsonBody(chainSchema) },
    responses: { 200: json(chainAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteChain', resource, example: null },
  {
    method: 'delete',
    path: '/chains/{id}',
    summary: 'Delete a delivery chain; runs under way finish, Records stay',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);
const versions = route(
  { action: 'cr:GetChain', resource, example: { items: [versionExample], nextCursor: null } },
  {
    method: 'get',
    path: '/chains/{id}/versions',
    summary: 'List every version of a chain',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(versionAnswer), 'Versions, newest first.') },
  },
);

type ChainDeps = Pick<ApiDeps, 'db' | 'clock' | 'cursors'>;

/** Delivery chains (docs/product.md, section 8). */
export function chainRoutes(deps: ChainDeps) {
  const { db, cursors } = deps;
  return newRoutes('chain')
    .openapi(list, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const query = c.req.valid('query');
      const filters = ['chains', instance.id];
      const rows = await listChains(db, instance.id, cursors.read(query, filters));
      const cursorOf = ({ name, id }: ChainWithInstance) => cursors.write({ key: name, id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiChain, cursorOf }), 200);
    })
    .openapi(create, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const chain = await createChain(deps, instance, c.req.valid('json'));
      setEtag(c, chain.version);
      return c.json(toApiChain(chain), 201);
    })
    .openapi(read, async (c) => {
      const chain = await getChain(db, c.req.valid('param').id);
      setEtag(c, chain.version);
      return isUnchanged(c, chain.version) ? c.body(null, 304) : c.json(toApiChain(chain), 200);
    })
    .openapi(replace, async (c) => {
      const definition = c.req.valid('json');
      const chain = await db.transaction().execute(async (trx) => {
        const current = await lockChain(trx, c.req.valid('param').id);
        requireMatch(c, { version: current.version, current: () => toApiChain(current) });
        refuseOtherScope(current.definition.scope, definition.scope);
        await checkScope(trx, current.instance_id, definition);
        // A change that changes nothing makes no version: a chain file can be applied again and again.
        if (isDeepStrictEqual(current.definition, definition)) return current;
        const changed = await updateChain(trx, current, { definition, at: deps.clock() });
        return { ...changed, instance: current.instance };
      });
      setEtag(c, chain.version);
      return c.json(toApiChain(chain), 200);
    })
    .openapi(remove, async (c) => {
      await db.transaction().execute(async (trx) => {
        const current = await lockChain(trx, c.req.valid('param').id);
        requireMatch(c, { version: current.version, current: () => toApiChain(current) });
        await deleteChain(trx, current.id);
      });
      return c.body(null, 204);
    })
    .openapi(versions, async (c) => {
      const chain = await getChain(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['chain-versions', chain.id];
      const rows = await listChainVersions(db, chain.id, cursors.read(query, filters));
      const cursorOf = ({ version }: ChainVersionRow) => cursors.write({ key: String(version), id: chain.id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiVersion, cursorOf }), 200);
    });
}

async function createChain(
  { db, clock }: ChainDeps,
  instance: InstanceRow,
  definition: ChainDefinition,
): Promise<ChainWithInstance> {
  return db.transaction().execute(async (trx) => {
    await checkScope(trx, instance.id, definition);
    const chain = await insertChain(trx, instance, { definition, at: clock() });
    return { ...chain, instance: instance.name };
  });
}

/** What the scope names must exist; a chain of one repository builds only where there is something to build. */
async function checkScope(db: Database, instanceId: string, { scope, nodes }: ChainDefinition): Promise<void> {
  if (scope.namespace === null) return;
  if ((await findNamespace(db, { instanceId, name: scope.namespace })) === undefined)
    throw invalidRequest([
      {
        pointer: '/scope/namespace',
        code: 'chain.namespace_invalid',
        message: `This instance has no namespace "${scope.namespace}". Create it first, or choose another.`,
      },
    ]);
  if (scope.repository === null) return;
  const path = { instanceId, namespace: scope.namespace, name: scope.repository };
  const repository = await findRepository(db, path);
  if (repository === undefined)
    throw invalidRequest([
      {
        pointer: '/scope/repository',
        code: 'chain.repository_invalid',
        message: `The namespace "${scope.namespace}" has no repository "${scope.repository}". Create it first, or choose another.`,
      },
    ]);
  if (nodes.build !== undefined && repository.source_account_id === null)
    throw invalidRequest([
      {
        pointer: '/nodes/build',
        code: 'chain.build_needs_source',
        message: `"${scope.namespace}/${scope.repository}" is a local repository, so there is nothing to build. Bind a source to it, or leave the build node out: the chain then starts with a push.`,
      },
    ]);
}

function refuseOtherScope(now: ChainDefinition['scope'], asked: ChainDefinition['scope']): void {
  if (now.namespace === asked.namespace && now.repository === asked.repository) return;
  throw conflict(
    'chain.scope_immutable',
    "A chain's namespace and repository are fixed: its Records belong to them. Create another chain for the other scope.",
  );
}

function toApiChain(row: ChainWithInstance): z.infer<typeof chainAnswer> {
  return {
    id: row.id,
    instance: row.instance,
    ...row.definition,
    enabled: row.enabled,
    version: row.version,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

function toApiVersion({ version, definition, created_at: createdAt }: ChainVersionRow): z.infer<typeof versionAnswer> {
  return { version, ...definition, createdAt: createdAt.toISOString() };
}
