import { z } from '@hono/zod-openapi';
import { getRepository, lockRepository } from '../../db/repositories/repository.ts';
import type { RepositoryWithPlace } from '../../db/repositories/repository.ts';
import { deleteSecrets, insertSecret } from '../../db/repositories/secret.ts';
import { getSourceAccount } from '../../db/repositories/source-account.ts';
import { accessOf } from '../../db/repositories/source-address.ts';
import {
  deleteSourceBinding,
  findLastSourceEvent,
  findSourceBinding,
  getSourceBinding,
  rotateHookSecret,
  updateSourceBinding,
} from '../../db/repositories/source-binding.ts';
import type { SourceAccountRow, SourceBindingRow } from '../../db/tables/source.ts';
import { limits } from '../../domain/limits.ts';
import { cloneUrl, sourceBindingSchema } from '../../domain/source.ts';
import type { SourceBindingDefinition } from '../../domain/source.ts';
import type { ApiDeps } from '../deps.ts';
import { idParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';
import { reasonSchema, timeOrNull } from '../shapes.ts';
import { insertBinding, newSigningSecret, testSource } from '../source.ts';
import { hookOf, installHook, removeHook } from '../source-webhook.ts';
import type { Hook } from '../source-webhook.ts';

export const hookAnswer = z
  .object({
    url: z.url(),
    secret: z.string().nullable().openapi({ description: 'Shown once, when it was made; null afterwards.' }),
    installed: z.boolean().openapi({ description: 'Whether Slipway installed it at the host.' }),
    issue: reasonSchema.nullable().openapi({ description: 'Why it did not; `source.hook_not_installed`.' }),
    instructions: z.string().openapi({ description: 'How to add it by hand.' }),
  })
  .openapi('Hook');
const bindingAnswer = z
  .object({
    sourceAccount: z.string(),
    codeNamespace: z.string(),
    codeRepository: z.string(),
    cloneUrl: z.url(),
    hook: hookAnswer,
    commitStatus: z.object({
      enabled: z.boolean(),
      issue: reasonSchema.nullable().openapi({ description: 'Why commits get no status; binding again tries anew.' }),
    }),
    issue: reasonSchema.nullable().openapi({ description: 'Why the source could not be read when it was last tried.' }),
    reconciledAt: z.iso
      .datetime()
      .nullable()
      .openapi({ description: 'When its branches and tags were last compared with what was seen of them.' }),
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
    installed: true,
    issue: null,
    instructions: 'In the …',
  },
  commitStatus: { enabled: true, issue: null },
  issue: null,
  reconciledAt: '2026-11-21T11:54:30.000Z',
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
    summary: 'Bind a repository to code, after a test clone, and install the webhook where the credential allows it',
    request: { params: idParam, body: jsonBody(sourceBindingSchema) },
    responses: { 200: json(bindingAnswer, 'Bound; the secret of a new hook is shown this once.') },
  },
);
const removeBinding = route(
  { action: 'cr:UpdateSourceCode', resource: resource, example: null },
  {
    method: 'delete',
    path: '/repositories/{id}/source-binding',
    summary: 'Unbind a repository and remove its webhook; its build rules stay and rest',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);
const rotateSecret = route(
  { action: 'cr:UpdateSourceCode', resource: resource, example: bindingExample.hook },
  {
    method: 'post',
    path: '/repositories/{id}/source-binding/rotate-secret',
    summary: 'Make a new hook secret, at the host too; the old one is taken for 24 more hours',
    request: { params: idParam },
    responses: { 200: json(hookAnswer, 'The hook with its new secret, shown this once.') },
  },
);

type SourceDeps = Pick<
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
      await unbindSource(deps, await getSourceBinding(db, repository.id));
      return c.body(null, 204);
    })
    .openapi(rotateSecret, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      return c.json(await newHookSecret(deps, repository, await getSourceBinding(db, repository.id)), 200);
    });
}

/** Binds or rebinds; a hook keeps its address and secret, and leaves the place it was at. */
async function bindSource(
  deps: SourceDeps,
  repository: RepositoryWithPlace,
  binding: SourceBindingDefinition,
): Promise<Hook> {
  const account = await testSource(deps, { instanceId: repository.instance_id, binding, pointer: '' });
  const before = await findSourceBinding(deps.db, repository.id);
  if (before !== undefined && !isSamePlace(before, { account, binding })) await removeHook(deps, before);
  const { row, secret } = await storeBinding(deps, repository, { account, binding });
  return installHook(deps, row, { newSecret: secret });
}

function isSamePlace(
  row: SourceBindingRow,
  { account, binding }: { account: SourceAccountRow; binding: SourceBindingDefinition },
): boolean {
  const isSameCode =
    row.code_namespace === binding.codeNamespace &&
    row.code_repository === binding.codeRepository.replace(/\.git$/, '');
  return row.source_account_id === account.id && isSameCode;
}

function storeBinding(
  deps: SourceDeps,
  { id: repositoryId, namespace_id: namespaceId }: RepositoryWithPlace,
  { account, binding }: { account: SourceAccountRow; binding: SourceBindingDefinition },
): Promise<{ row: SourceBindingRow; secret: string | null }> {
  return deps.db.transaction().execute(async (trx) => {
    await lockRepository(trx, repositoryId);
    if ((await findSourceBinding(trx, repositoryId)) === undefined)
      return insertBinding(trx, deps, { repositoryId, namespaceId, account, binding });
    const row = await updateSourceBinding(trx, repositoryId, {
      source_account_id: account.id,
      code_namespace: binding.codeNamespace,
      code_repository: binding.codeRepository.replace(/\.git$/, ''),
    });
    return { row, secret: null };
  });
}

async function unbindSource(deps: SourceDeps, binding: SourceBindingRow): Promise<void> {
  await removeHook(deps, binding);
  await deps.db.transaction().execute(async (trx) => {
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
  const rotated = await deps.db.transaction().execute(async (trx) => {
    const owner = { ownerId: repository.namespace_id, kind: 'hook' as const, value: secret };
    const previousUntil = new Date(deps.clock().getTime() + limits.secretRotationMs);
    const secretRef = await insertSecret(trx, deps.secretBox, owner);
    const row = await rotateHookSecret(trx, binding, { secretRef, previousUntil });
    if (binding.previous_hook_secret_ref !== null) await deleteSecrets(trx, [binding.previous_hook_secret_ref]);
    return row;
  });
  return installHook(deps, rotated, { newSecret: secret });
}

async function toApiBinding(
  deps: SourceDeps,
  row: SourceBindingRow,
  newHook?: Hook,
): Promise<z.infer<typeof bindingAnswer>> {
  const access = accessOf(await getSourceAccount(deps.db, row.source_account_id));
  const last = await findLastSourceEvent(deps.db, row.hook_id);
  const code = { codeNamespace: row.code_namespace, codeRepository: row.code_repository };
  return {
    sourceAccount: row.source_account_id,
    ...code,
    cloneUrl: cloneUrl(access, code),
    hook: newHook ?? hookOf(deps, { binding: row, access, secret: null }),
    commitStatus: {
      enabled: access.host !== 'git' && access.credentialRef !== null && row.status_issue === null,
      issue: row.status_issue,
    },
    issue: row.reconcile_error,
    reconciledAt: timeOrNull(row.reconciled_at),
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
