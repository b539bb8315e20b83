import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { getNamespace } from '../../db/repositories/namespace.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import { deleteSecrets, insertSecret } from '../../db/repositories/secret.ts';
import {
  deleteTrigger,
  getTrigger,
  insertTrigger,
  listTriggers,
  lockTrigger,
  rotateTriggerSecret,
  updateTrigger,
} from '../../db/repositories/trigger-rule.ts';
import type { TriggerPlace } from '../../db/repositories/trigger-rule.ts';
import type { TriggerRow } from '../../db/tables/trigger.ts';
import { limits } from '../../domain/limits.ts';
import { triggerSchema } from '../../domain/trigger.ts';
import type { TriggerDefinition } from '../../domain/trigger.ts';
import type { ApiDeps } from '../deps.ts';
import { checkUrl } from '../egress-check.ts';
import type { ApiEnv } from '../env.ts';
import { isUnchanged, requireMatch, setEtag } from '../etag.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, jsonBody, newRoutes, noContent, notModified, route } from '../route.ts';
import { newSigningSecret } from '../source.ts';
import { maskTrigger, unmaskTrigger } from '../trigger-secrets.ts';

const triggerAnswer = z
  .object({
    id: z.string(),
    namespaceId: z.string(),
    repositoryId: z.string().nullable(),
    ...triggerSchema.shape,
    disabledReason: z
      .object({ code: z.string(), params: z.record(z.string(), z.union([z.string(), z.number()])), text: z.string() })
      .nullable(),
    version: z.int(),
    createdAt: z.iso.datetime(),
  })
  .openapi('Trigger', { description: "Values of the URL's query and of headers are masked as ***." });
const createdAnswer = triggerAnswer
  .extend({ secret: z.string().openapi({ description: 'Signs every delivery; shown this once.' }) })
  .openapi('CreatedTrigger');
const secretAnswer = z
  .object({ secret: z.string(), previousUntil: z.iso.datetime() })
  .openapi('TriggerSecret', { description: 'The new secret, shown this once; until then the old one signs too.' });

const example = {
  id: 'crw-8f2k1m9q0w3e5r7t',
  namespaceId: 'crn-8f2k1m9q0w3e5r7t',
  repositoryId: 'crr-8f2k1m9q0w3e5r7t',
  name: 'redeploy',
  action: 'webhook',
  url: 'https://deploy.example.com/hook?key=***',
  condition: { kind: 'regexp', regexp: 'v.*' },
  format: 'standard',
  headers: [],
  caCertificate: null,
  enabled: true,
  disabledReason: null,
  version: 1,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const createdExample = { ...example, secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD5fQ3KyCWVDc=' };
const resource = 'repository/{instance}/{namespace}/{repository}';
const listExample = { items: [example], nextCursor: null };

const listOfRepository = route(
  { action: 'cr:GetWebHookLog', resource, example: listExample },
  {
    method: 'get',
    path: '/repositories/{id}/triggers',
    summary: 'List the triggers of a repository',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(triggerAnswer), 'Triggers by name.') },
  },
);
const listOfNamespace = route(
  { action: 'cr:GetWebHookLog', resource: 'repository/{instance}/{namespace}', example: listExample },
  {
    method: 'get',
    path: '/namespaces/{id}/triggers',
    summary: 'List the triggers of a namespace as a whole',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(triggerAnswer), 'Triggers by name.') },
  },
);
const createOfRepository = route(
  { action: 'cr:CreateWebHook', resource, example: createdExample },
  {
    method: 'post',
    path: '/repositories/{id}/triggers',
    summary: 'Create a trigger of a repository',
    request: { params: idParam, body: jsonBody(triggerSchema) },
    responses: { 201: json(createdAnswer, 'Created.') },
  },
);
const createOfNamespace = route(
  { action: 'cr:CreateWebHook', resource: 'repository/{instance}/{namespace}', example: createdExample },
  {
    method: 'post',
    path: '/namespaces/{id}/triggers',
    summary: 'Create a trigger of every repository of a namespace',
    request: { params: idParam, body: jsonBody(triggerSchema) },
    responses: { 201: json(createdAnswer, 'Created.') },
  },
);
const read = route(
  { action: 'cr:GetWebHookLog', resource, example },
  {
    method: 'get',
    path: '/triggers/{id}',
    summary: 'Read a trigger',
    request: { params: idParam },
    responses: { 200: json(triggerAnswer, 'The trigger.'), 304: notModified },
  },
);
const replace = route(
  { action: 'cr:UpdateWebHook', resource, example },
  {
    method: 'put',
    path: '/triggers/{id}',
    summary: 'Change a trigger; masked values sent back unchanged stay',
    request: { params: idParam, body: jsonBody(triggerSchema) },
    responses: { 200: json(triggerAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteWebHook', resource, example: null },
  {
    method: 'delete',
    path: '/triggers/{id}',
    summary: 'Delete a trigger with its deliveries',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);
const enable = route(
  { action: 'cr:UpdateWebHook', resource, example },
  {
    method: 'post',
    path: '/triggers/{id}/enable',
    summary: 'Enable a trigger again, such as one that was disabled after failing for days',
    request: { params: idParam },
    responses: { 200: json(triggerAnswer, 'Enabled.') },
  },
);
const rotateSecret = route(
  {
    action: 'cr:UpdateWebHook',
    resource,
    example: { secret: createdExample.secret, previousUntil: '2026-11-22T12:00:00.000Z' },
  },
  {
    method: 'post',
    path: '/triggers/{id}/rotate-secret',
    summary: 'Make a new signing secret; both sign for 24 hours',
    request: { params: idParam },
    responses: { 200: json(secretAnswer, 'The new secret.') },
  },
);

type TriggerDeps = Pick<ApiDeps, 'db' | 'clock' | 'cursors' | 'secretBox' | 'egressPolicy' | 'resolveHost'>;

/** Triggers (docs/product.md, section 11); their deliveries are in `trigger-delivery.ts`. */
export function triggerRoutes(deps: TriggerDeps) {
  const { db } = deps;
  return newRoutes('trigger')
    .openapi(listOfRepository, async (c) => {
      const place = await repositoryPlace(deps, c.req.valid('param').id);
      return c.json(await pageOfTriggers(deps, c, { place, query: c.req.valid('query') }), 200);
    })
    .openapi(listOfNamespace, async (c) => {
      const place = await namespacePlace(deps, c.req.valid('param').id);
      return c.json(await pageOfTriggers(deps, c, { place, query: c.req.valid('query') }), 200);
    })
    .openapi(createOfRepository, async (c) => {
      const place = await repositoryPlace(deps, c.req.valid('param').id);
      const { row, secret } = await createTrigger(deps, place, c.req.valid('json'));
      setEtag(c, row.version);
      return c.json({ ...toApiTrigger(row), secret }, 201);
    })
    .openapi(createOfNamespace, async (c) => {
      const place = await namespacePlace(deps, c.req.valid('param').id);
      const { row, secret } = await createTrigger(deps, place, c.req.valid('json'));
      setEtag(c, row.version);
      return c.json({ ...toApiTrigger(row), secret }, 201);
    })
    .openapi(read, async (c) => {
      const trigger = await getTrigger(db, c.req.valid('param').id);
      setEtag(c, trigger.version);
      return isUnchanged(c, trigger.version) ? c.body(null, 304) : c.json(toApiTrigger(trigger), 200);
    })
    .openapi(replace, async (c) => {
      const before = await getTrigger(db, c.req.valid('param').id);
      const definition = unmaskTrigger(c.req.valid('json'), before.definition);
      await checkUrl(deps, { url: definition.url, pointer: '/url' });
      const trigger = await db.transaction().execute(async (trx) => {
        const current = await lockTrigger(trx, before.id);
        requireMatch(c, { version: current.version, current: () => toApiTrigger(current) });
        return updateTrigger(trx, current.id, definition);
      });
      setEtag(c, trigger.version);
      return c.json(toApiTrigger(trigger), 200);
    })
    .openapi(remove, async (c) => {
      await db.transaction().execute(async (trx) => {
        const current = await lockTrigger(trx, c.req.valid('param').id);
        requireMatch(c, { version: current.version, current: () => toApiTrigger(current) });
        await deleteTrigger(trx, current.id);
        await deleteSecrets(
          trx,
          [current.secret_ref, current.previous_secret_ref].filter((ref) => ref !== null),
        );
      });
      return c.body(null, 204);
    })
    .openapi(enable, async (c) => {
      const trigger = await db.transaction().execute(async (trx) => {
        const current = await lockTrigger(trx, c.req.valid('param').id);
        return updateTrigger(trx, current.id, { ...current.definition, enabled: true });
      });
      setEtag(c, trigger.version);
      return c.json(toApiTrigger(trigger), 200);
    })
    .openapi(rotateSecret, async (c) => c.json(await rotate(deps, c.req.valid('param').id), 200));
}

async function repositoryPlace({ db }: TriggerDeps, id: string): Promise<TriggerPlace> {
  const repository = await getRepository(db, id);
  return { namespaceId: repository.namespace_id, repositoryId: repository.id };
}

async function namespacePlace({ db }: TriggerDeps, id: string): Promise<TriggerPlace> {
  const namespace = await getNamespace(db, id);
  return { namespaceId: namespace.id, repositoryId: null };
}

async function pageOfTriggers(
  { db, cursors }: TriggerDeps,
  c: Context<ApiEnv>,
  { place, query }: { place: TriggerPlace; query: z.infer<typeof pageQuery> },
) {
  const filters = ['triggers', place];
  const rows = await listTriggers(db, place, cursors.read(query, filters));
  const cursorOf = ({ name, id }: TriggerRow) => cursors.write({ key: name, id }, filters);
  return toPage(c, { rows, limit: query.limit, toItem: toApiTrigger, cursorOf });
}

async function createTrigger(
  deps: TriggerDeps,
  place: TriggerPlace,
  definition: TriggerDefinition,
): Promise<{ row: TriggerRow; secret: string }> {
  await checkUrl(deps, { url: definition.url, pointer: '/url' });
  const secret = newSigningSecret();
  const row = await deps.db.transaction().execute(async (trx) => {
    const sealed = { ownerId: place.namespaceId, kind: 'trigger' as const, value: secret };
    const secretRef = await insertSecret(trx, deps.secretBox, sealed);
    return insertTrigger(trx, place, { definition, secretRef, at: deps.clock() });
  });
  return { row, secret };
}

async function rotate(deps: TriggerDeps, id: string): Promise<{ secret: string; previousUntil: string }> {
  const secret = newSigningSecret();
  const previousUntil = new Date(deps.clock().getTime() + limits.secretRotationMs);
  await deps.db.transaction().execute(async (trx) => {
    const trigger = await lockTrigger(trx, id);
    const sealed = { ownerId: trigger.namespace_id, kind: 'trigger' as const, value: secret };
    const secretRef = await insertSecret(trx, deps.secretBox, sealed);
    await rotateTriggerSecret(trx, trigger, { secretRef, previousUntil });
  });
  return { secret, previousUntil: previousUntil.toISOString() };
}

function toApiTrigger(row: TriggerRow): z.infer<typeof triggerAnswer> {
  return {
    id: row.id,
    namespaceId: row.namespace_id,
    repositoryId: row.repository_id,
    ...maskTrigger(row.definition),
    enabled: row.enabled,
    disabledReason:
      row.disabled_reason === null ? null : { ...row.disabled_reason, params: { ...row.disabled_reason.params } },
    version: row.version,
    createdAt: row.created_at.toISOString(),
  };
}
