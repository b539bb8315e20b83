import { z } from '@hono/zod-openapi';
import { getNamespace } from '../../db/repositories/namespace.ts';
import {
  deleteRepository,
  getRepository,
  listDoomedRepositories,
  listRepositories,
  repositoryUse,
  updateRepository,
} from '../../db/repositories/repository.ts';
import type { RepositoryFilter, RepositoryWithPlace } from '../../db/repositories/repository.ts';
import { findSourceBinding } from '../../db/repositories/source-binding.ts';
import { deleteSecrets, listRepositorySecrets } from '../../db/repositories/secret.ts';
import { conflict } from '../../domain/errors.ts';
import { repositorySchema, repositoryUpdateSchema } from '../../domain/repository.ts';
import { requireBuildRegion } from '../build-workers.ts';
import { createRepository, repositoryColumns } from '../create-repository.ts';
import type { ApiDeps } from '../deps.ts';
import { deleteImages } from '../delete-images.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import type { Cursors } from '../page.ts';
import { idParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';
import { removeHook } from '../source-webhook.ts';
import { hookAnswer } from './source.ts';

const repositoryAnswer = z
  .object({
    id: z.string(),
    instance: z.string(),
    namespaceId: z.string(),
    namespace: z.string(),
    name: z.string(),
    type: z.enum(['public', 'private']),
    tagImmutability: z.boolean(),
    summary: z.string(),
    description: z.string(),
    codeSource: z
      .object({ sourceAccount: z.string(), codeNamespace: z.string(), codeRepository: z.string() })
      .nullable()
      .openapi({ description: 'null: a local repository, pushed to and never built.' }),
    buildSettings: z.object({
      autoBuild: z.boolean(),
      buildRegion: z.string().nullable().openapi({ description: "Whose workers build; null: the instance's own." }),
      noCache: z.boolean(),
    }),
    createdAt: z.iso.datetime(),
  })
  .openapi('Repository');
const createdAnswer = repositoryAnswer
  .extend({ buildRules: z.array(z.string()), hook: hookAnswer.nullable() })
  .openapi('CreatedRepository', { description: 'With the ids of its build rules and, once, the secret of its hook.' });

const example = {
  id: 'crr-8f2k1m9q0w3e5r7t',
  instance: 'hangzhou',
  namespaceId: 'crn-8f2k1m9q0w3e5r7t',
  namespace: 'shop',
  name: 'web',
  type: 'private',
  tagImmutability: false,
  summary: 'The shop window',
  description: '',
  codeSource: null,
  buildSettings: { autoBuild: true, buildRegion: null, noCache: false },
  createdAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'repository/{instance}/{namespace}/{repository}';
const listExample = { items: [example], nextCursor: null };

const listOfNamespace = route(
  { action: 'cr:ListRepository', resource: 'repository/{instance}/{namespace}', example: listExample },
  {
    method: 'get',
    path: '/namespaces/{id}/repositories',
    summary: 'List the repositories of a namespace',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(repositoryAnswer), 'Repositories by name.') },
  },
);
const list = route(
  { action: 'cr:ListRepository', resource: 'repository/*', example: listExample },
  {
    method: 'get',
    path: '/repositories',
    summary: 'Find repositories by names',
    request: {
      query: pageQuery.extend({
        instance: z.string().optional(),
        namespace: z.string().optional(),
        name: z.string().optional(),
      }),
    },
    responses: { 200: json(pageOf(repositoryAnswer), 'Repositories by name.') },
  },
);
const create = route(
  {
    action: 'cr:CreateRepository',
    resource: 'repository/{instance}/{namespace}',
    example: { ...example, buildRules: [], hook: null },
  },
  {
    method: 'post',
    path: '/namespaces/{id}/repositories',
    summary: 'Create a repository with its code source and build rules, or nothing',
    request: { params: idParam, body: jsonBody(repositorySchema) },
    responses: { 201: json(createdAnswer, 'Created.') },
  },
);
const read = route(
  { action: 'cr:GetRepository', resource, example },
  {
    method: 'get',
    path: '/repositories/{id}',
    summary: 'Read a repository',
    request: { params: idParam },
    responses: { 200: json(repositoryAnswer, 'The repository.') },
  },
);
const replace = route(
  { action: 'cr:UpdateRepository', resource, example },
  {
    method: 'put',
    path: '/repositories/{id}',
    summary: 'Change a repository; name, code source and build rules are not part of it',
    request: { params: idParam, body: jsonBody(repositoryUpdateSchema) },
    responses: { 200: json(repositoryAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteRepository', resource, example: null },
  {
    method: 'delete',
    path: '/repositories/{id}',
    summary: 'Delete a repository with its images, rules and Records',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);

type RepositoryDeps = Pick<
  ApiDeps,
  | 'db'
  | 'clock'
  | 'config'
  | 'cursors'
  | 'log'
  | 'secretBox'
  | 'git'
  | 'egressPolicy'
  | 'resolveHost'
  | 'registries'
  | 'sourceHosts'
  | 'sourceLogins'
>;

/** Repositories (docs/product.md, section 4). */
export function repositoryRoutes(deps: RepositoryDeps) {
  const { db } = deps;
  return newRoutes('repository')
    .openapi(listOfNamespace, async (c) => {
      const { id } = await getNamespace(db, c.req.valid('param').id);
      const { limit, cursor } = c.req.valid('query');
      const page = await pageOfRepositories(deps, { namespaceId: id }, { limit, cursor });
      return c.json(toPage(c, page), 200);
    })
    .openapi(list, async (c) => {
      const { limit, cursor, ...filter } = c.req.valid('query');
      return c.json(toPage(c, await pageOfRepositories(deps, filter, { limit, cursor })), 200);
    })
    .openapi(create, async (c) => {
      const namespace = await getNamespace(db, c.req.valid('param').id);
      const { id, buildRules, hook } = await createRepository(deps, namespace, c.req.valid('json'));
      return c.json({ ...toApiRepository(await getRepository(db, id)), buildRules, hook }, 201);
    })
    .openapi(read, async (c) => c.json(toApiRepository(await getRepository(db, c.req.valid('param').id)), 200))
    .openapi(replace, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      const namespace = await getNamespace(db, repository.namespace_id);
      const change = c.req.valid('json');
      await requireBuildRegion(deps, change.buildSettings.buildRegion);
      await updateRepository(db, repository.id, repositoryColumns(namespace, change));
      return c.json(toApiRepository(await getRepository(db, repository.id)), 200);
    })
    .openapi(remove, async (c) => {
      await removeRepository(deps, await getRepository(db, c.req.valid('param').id));
      return c.body(null, 204);
    });
}

async function pageOfRepositories(
  { db, cursors }: { db: ApiDeps['db']; cursors: Cursors },
  filter: RepositoryFilter,
  query: { limit: number; cursor: string | undefined },
) {
  const filters = ['repositories', filter];
  const rows = await listRepositories(db, filter, cursors.read(query, filters));
  const cursorOf = ({ name, id }: RepositoryWithPlace) => cursors.write({ key: name, id }, filters);
  return { rows, limit: query.limit, toItem: toApiRepository, cursorOf };
}

async function removeRepository(deps: RepositoryDeps, repository: RepositoryWithPlace): Promise<void> {
  const { db } = deps;
  const use = await repositoryUse(db, repository);
  if (use !== undefined)
    throw conflict(
      'repository.in_use',
      `The repository "${repository.name}" is in use: ${use}. End or change that first.`,
    );
  await deleteImages(deps, await listDoomedRepositories(db, { id: repository.id }));
  const binding = await findSourceBinding(db, repository.id);
  if (binding !== undefined) await removeHook(deps, binding);
  await db.transaction().execute(async (trx) => {
    const secrets = await listRepositorySecrets(trx, repository.id);
    await deleteRepository(trx, repository.id);
    await deleteSecrets(trx, secrets);
  });
}

function toApiRepository(row: RepositoryWithPlace): z.infer<typeof repositoryAnswer> {
  return {
    id: row.id,
    instance: row.instance,
    namespaceId: row.namespace_id,
    namespace: row.namespace,
    name: row.name,
    type: row.type,
    tagImmutability: row.tag_immutability,
    summary: row.summary,
    description: row.description,
    codeSource: toApiCodeSource(row),
    buildSettings: { autoBuild: row.is_auto_build, buildRegion: row.build_region, noCache: row.is_no_cache },
    createdAt: row.created_at.toISOString(),
  };
}

function toApiCodeSource(row: RepositoryWithPlace) {
  const { source_account_id: sourceAccount, code_namespace: codeNamespace, code_repository: codeRepository } = row;
  if (sourceAccount === null || codeNamespace === null || codeRepository === null) return null;
  return { sourceAccount, codeNamespace, codeRepository };
}
