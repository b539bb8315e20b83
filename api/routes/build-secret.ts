import { z } from '@hono/zod-openapi';
import { getBuildSecret, listBuildSecrets } from '../../db/repositories/build-secret.ts';
import type { BuildSecretWithUse } from '../../db/repositories/build-secret.ts';
import { getNamespace } from '../../db/repositories/namespace.ts';
import { buildSecretSchema, buildSecretUpdateSchema } from '../../domain/build-secret.ts';
import { createBuildSecret, removeBuildSecret, replaceBuildSecret } from '../build-secret.ts';
import type { ApiDeps } from '../deps.ts';
import { refuseChanged } from '../fixed-fields.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';
import { timeOf, timeSchema } from '../shapes.ts';

const secretAnswer = z
  .object({
    id: z.string(),
    namespaceId: z.string(),
    name: z.string().openapi({ description: 'What a build rule’s secretRef names.' }),
    rules: z.int().openapi({ description: 'How many build rules name it.' }),
    createdAt: timeSchema,
    updatedAt: timeSchema.openapi({ description: 'When its value was last set.' }),
  })
  .openapi('BuildSecret', { description: 'A secret for builds. Its value is written and never read.' });

const example = {
  id: 'bsec-8f2k1m9q0w3e5r7t',
  namespaceId: 'crn-8f2k1m9q0w3e5r7t',
  name: 'npm-token',
  rules: 1,
  createdAt: '2026-11-21T12:00:00.000Z',
  updatedAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'repository/{instance}/{namespace}';

const list = route(
  { action: 'cr:ListBuildSecret', resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/namespaces/{id}/secrets',
    summary: 'List the build secrets of a namespace, without their values',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(secretAnswer), 'Secrets by name.') },
  },
);
const create = route(
  { action: 'cr:CreateBuildSecret', resource, example },
  {
    method: 'post',
    path: '/namespaces/{id}/secrets',
    summary: 'Add a secret that builds of the namespace may use',
    request: { params: idParam, body: jsonBody(buildSecretSchema) },
    responses: { 201: json(secretAnswer, 'Added.') },
  },
);
const replace = route(
  { action: 'cr:UpdateBuildSecret', resource, example },
  {
    method: 'put',
    path: '/secrets/{id}',
    summary: 'Give a build secret a new value; its name is fixed',
    request: { params: idParam, body: jsonBody(buildSecretUpdateSchema) },
    responses: { 200: json(secretAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteBuildSecret', resource, example: null },
  {
    method: 'delete',
    path: '/secrets/{id}',
    summary: 'Delete a build secret no build rule names',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);

type BuildSecretDeps = Pick<ApiDeps, 'db' | 'clock' | 'cursors' | 'secretBox'>;

/** Secrets of a namespace that its builds may use (docs/product.md, X-09). No answer holds a value. */
export function buildSecretRoutes(deps: BuildSecretDeps) {
  const { db, cursors } = deps;
  return newRoutes('secret')
    .openapi(list, async (c) => {
      const namespace = await getNamespace(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['build-secrets', namespace.id];
      const rows = await listBuildSecrets(db, namespace.id, cursors.read(query, filters));
      const cursorOf = ({ name, id }: BuildSecretWithUse) => cursors.write({ key: name, id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiSecret, cursorOf }), 200);
    })
    .openapi(create, async (c) => {
      const namespace = await getNamespace(db, c.req.valid('param').id);
      const { id } = await createBuildSecret(deps, { namespaceId: namespace.id, ...c.req.valid('json') });
      return c.json(toApiSecret(await getBuildSecret(db, id)), 201);
    })
    .openapi(replace, async (c) => {
      const { id, name: now } = await getBuildSecret(db, c.req.valid('param').id);
      const { name: asked = now, value } = c.req.valid('json');
      refuseChanged('secret', [{ field: 'name', now, asked }]);
      if (value !== undefined) await replaceBuildSecret(deps, { id, value });
      return c.json(toApiSecret(await getBuildSecret(db, id)), 200);
    })
    .openapi(remove, async (c) => {
      await removeBuildSecret(deps, c.req.valid('param').id);
      return c.body(null, 204);
    });
}

function toApiSecret(row: BuildSecretWithUse): z.infer<typeof secretAnswer> {
  return {
    id: row.id,
    namespaceId: row.namespace_id,
    name: row.name,
    rules: row.rules,
    createdAt: timeOf(row.created_at),
    updatedAt: timeOf(row.updated_at),
  };
}
