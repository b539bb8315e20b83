import { z } from '@hono/zod-openapi';
import { getRepository } from '../../db/repositories/repository.ts';
import type { RepositoryWithPlace } from '../../db/repositories/repository.ts';
import { deleteSecrets, insertSecret } from '../../db/repositories/secret.ts';
import { getSourceAccount } from '../../db/repositories/source-account.ts';
import {
  deleteSourceBinding,
  findLastSourceEvent,
  findSourceBinding,
  getSourceBinding,
  rotateHookSecret,
  updateSourceBinding,
} from '../../db/repositories/source-binding.ts';
import type { Database } from '../../db/database.ts';
import type { SourceBindingRow } from '../../db/tables/source.ts';
import { limits } from '../../domain/limits.ts';
import { cloneUrl, sourceBindingSchema } from '../../domain/source.ts';
import type { SourceBindingDefinition } from '../../domain/source.ts';
import type { ApiDeps } from '../deps.ts';
import { idParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';
import { hookOf, insertBinding, newSigningSecret, testSource } from '../source.ts';
import type { Hook } from '../source.ts';

export const hookAnswer = z
  .object({
    url: z.url(),
    secret: z.string().nullable().openapi({ description: 'Shown once, when it was made; null afterwards.' }),
    installed: z.boolean(),
    instructions: z.string(),
  })
  .openapi('Hook');
const bindingAnswer = z
  .object({
    sourceAccount: z.string(),
    codeNamespace: z.string(),
    codeRepository: z.string(),
    cloneUrl: z.url(),
    hook: hookAnswer,
    lastEvent: z
      .object({
        id: z.int(),
        event: z.string(),
        state: z.enum(['pending', 'handled']),
        outcome: z.unknown(),
        receivedAt: z.iso.datetime(),
      })
      .nullable(),
    createdAt: z.iso.datetime(),
  })
  .openapi('SourceBinding');

const bindingExample = {
  sourceAccount: 'src-8f2k1m9q0w3e5r7t',
  codeNamespace: 'acme',
  codeRepository: 'shop',
  cloneUrl: 'https://github.com/acme/shop.git',
  hook: {
    url: 'https://slipway.example.com/hooks/4f0b…',
    secret: 'whsec_…',
    installed: false,
    instructions: 'In the …',
  },
  lastEvent: null,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'repository/{instance}/{namespace}/{repository}';

const readBinding = route(
  { action: 'cr:GetSourceCode', resource: resource, example: bindingExample },
  {
    method: 'get',
    path: '/repositories/{id}/source-binding',
    summary: 'Read what code a repository is built from',
    request: { params: idParam },
    responses: { 200: json(bindingAnswer, 'The binding.') },
  },
);
const putBinding = route(
  { action: 'cr:UpdateSourceCode', resource: resource, example: bindingExample },
  {
    method: 'put',
    path: '/repositories/{id}/source-binding',
    summary: 'Bind a repository to code, after a test clone',
    request: { params: idParam, body: jsonBody(sourceBindingSchema) },
    responses: { 200: json(bindingAnswer, 'Bound; the secret of a new hook is shown this once.') },
  },
);
const removeBinding = route(
  { action: 'cr:UpdateSourceCode', resource: resource, example: null },
  {
    method: 'delete',
    path: '/repositories/{id}/source-binding',
    summary: 'Unbind a repository; its build rules stay and rest',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);
const rotateSecret = route(
  { action: 'cr:UpdateSourceCode', resource: resource, example: bindingExample.hook },
  {
    method: 'post',
    path: '/repositories/{id}/source-binding/rotate-secret',
    summary: 'Make a new hook secret; the old one is taken for 24 more hours',
    request: { params: idParam },
    responses: { 200: json(hookAnswer, 'The hook with its new secret, shown this once.') },
  },
);

type SourceDeps = Pick<ApiDeps, 'db' | 'clock' | 'config' | 'secretBox' | 'git' | 'egressPolicy' | 'resolveHost'>;

/** Source bindings (docs/product.md, section 5). */
export function sourceRoutes(deps: SourceDeps) {
  const { db } = deps;
  return newRoutes('source')
    .openapi(readBinding, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      return c.json(await toApiBinding(deps, await getSourceBinding(db, repository.id)), 200);
    })
    .openapi(putBinding, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      const hook = await bindSource(deps, repository, c.req.valid('json'));
      return c.json(await toApiBinding(deps, await getSourceBinding(db, repository.id), hook), 200);
    })
    .openapi(removeBinding, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      await unbindSource(db, await getSourceBinding(db, repository.id));
      return c.body(null, 204);
    })
    .openapi(rotateSecret, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      return c.json(await newHookSecret(deps, repository, await getSourceBinding(db, repository.id)), 200);
    });
}

/** Binds or rebinds; a hook that stands already keeps its address and secret. */
async function bindSource(
  deps: SourceDeps,
  repository: RepositoryWithPlace,
  binding: SourceBindingDefinition,
): Promise<Hook | undefined> {
  const account = await testSource(deps, { instanceId: repository.instance_id, binding, pointer: '' });
  return deps.db.transaction().execute(async (trx) => {
    const { id: repositoryId, namespace_id: namespaceId } = repository;
    if ((await findSourceBinding(trx, repositoryId)) === undefined)
      return insertBinding(trx, deps, { repositoryId, namespaceId, account, binding });
    await updateSourceBinding(trx, repositoryId, {
      source_account_id: account.id,
      code_namespace: binding.codeNamespace,
      code_repository: binding.codeRepository,
    });
    return undefined;
  });
}

async function unbindSource(db: Database, binding: SourceBindingRow): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await deleteSourceBinding(trx, binding.repository_id);
    await deleteSecrets(
      trx,
      [binding.hook_secret_ref, binding.previous_hook_secret_ref].filter((ref) => ref !== null),
    );
  });
}

async function newHookSecret(
  deps: SourceDeps,
  repository: RepositoryWithPlace,
  binding: SourceBindingRow,
): Promise<Hook> {
  const secret = newSigningSecret();
  const account = await getSourceAccount(deps.db, binding.source_account_id);
  await deps.db.transaction().execute(async (trx) => {
    const owner = { ownerId: repository.namespace_id, kind: 'hook' as const, value: secret };
    const previousUntil = new Date(deps.clock().getTime() + limits.secretRotationMs);
    const secretRef = await insertSecret(trx, deps.secretBox, owner);
    await rotateHookSecret(trx, binding, { secretRef, previousUntil });
    if (binding.previous_hook_secret_ref !== null) await deleteSecrets(trx, [binding.previous_hook_secret_ref]);
  });
  return hookOf(deps, { hookId: binding.hook_id, host: account.host, secret });
}

async function toApiBinding(
  deps: SourceDeps,
  row: SourceBindingRow,
  newHook?: Hook,
): Promise<z.infer<typeof bindingAnswer>> {
  const account = await getSourceAccount(deps.db, row.source_account_id);
  const last = await findLastSourceEvent(deps.db, row.hook_id);
  const code = { codeNamespace: row.code_namespace, codeRepository: row.code_repository };
  return {
    sourceAccount: row.source_account_id,
    ...code,
    cloneUrl: cloneUrl({ host: account.host, baseUrl: account.base_url }, code),
    hook: newHook ?? hookOf(deps, { hookId: row.hook_id, host: account.host, secret: null }),
    lastEvent:
      last === undefined
        ? null
        : {
            id: last.id,
            event: last.event,
            state: last.state,
            outcome: last.outcome,
            receivedAt: last.received_at.toISOString(),
          },
    createdAt: row.created_at.toISOString(),
  };
}
