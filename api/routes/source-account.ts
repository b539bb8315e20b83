import { z } from '@hono/zod-openapi';
import { getInstance } from '../../db/repositories/instance.ts';
import { deleteSecrets, insertSecret } from '../../db/repositories/secret.ts';
import {
  deleteSourceAccount,
  getSourceAccount,
  insertSourceAccount,
  listBoundRepositories,
  listSourceAccounts,
  updateSourceAccount,
} from '../../db/repositories/source-account.ts';
import type { Database } from '../../db/database.ts';
import { newId } from '../../db/new-id.ts';
import type { SourceAccountRow } from '../../db/tables/source.ts';
import { conflict } from '../../domain/errors.ts';
import { sourceAccountSchema, sourceHostNames } from '../../domain/source.ts';
import type { SourceAccountDefinition } from '../../domain/source.ts';
import type { ApiDeps } from '../deps.ts';
import { checkUrl } from '../egress-check.ts';
import { refuseChanged } from '../fixed-fields.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, instanceParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';

const accountAnswer = z
  .object({
    id: z.string(),
    instance: z.string(),
    host: z.enum(sourceHostNames),
    baseUrl: z.url(),
    hasCredential: z.boolean().openapi({ description: 'Whether a login is stored; it is never answered.' }),
    createdAt: z.iso.datetime(),
  })
  .openapi('SourceAccount');
const example = {
  id: 'src-8f2k1m9q0w3e5r7t',
  instance: 'hangzhou',
  host: 'github',
  baseUrl: 'https://github.com',
  hasCredential: true,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'instance/{instance}';

const list = route(
  { action: 'cr:ListSourceAccount', resource: resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/instances/{instance}/source-accounts',
    summary: 'List the source accounts of an instance',
    request: { params: instanceParam, query: pageQuery },
    responses: { 200: json(pageOf(accountAnswer), 'Source accounts, oldest first.') },
  },
);
const create = route(
  { action: 'cr:CreateSourceAccount', resource: resource, example },
  {
    method: 'post',
    path: '/instances/{instance}/source-accounts',
    summary: 'Add a source host with its credential',
    request: { params: instanceParam, body: jsonBody(sourceAccountSchema) },
    responses: { 201: json(accountAnswer, 'Added.') },
  },
);
const read = route(
  { action: 'cr:GetSourceAccount', resource: resource, example },
  {
    method: 'get',
    path: '/source-accounts/{id}',
    summary: 'Read a source account',
    request: { params: idParam },
    responses: { 200: json(accountAnswer, 'The source account.') },
  },
);
const replace = route(
  { action: 'cr:UpdateSourceAccount', resource: resource, example },
  {
    method: 'put',
    path: '/source-accounts/{id}',
    summary: 'Change address or credential; the kind of host is fixed',
    request: { params: idParam, body: jsonBody(sourceAccountSchema) },
    responses: { 200: json(accountAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteSourceAccount', resource: resource, example: null },
  {
    method: 'delete',
    path: '/source-accounts/{id}',
    summary: 'Delete a source account no repository is bound through',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);
type SourceAccountDeps = Pick<ApiDeps, 'db' | 'clock' | 'cursors' | 'secretBox' | 'egressPolicy' | 'resolveHost'>;

/** Source accounts (docs/product.md, section 5). */
export function sourceAccountRoutes(deps: SourceAccountDeps) {
  const { db, cursors } = deps;
  return newRoutes('source')
    .openapi(list, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const query = c.req.valid('query');
      const filters = ['source-accounts', instance.id];
      const rows = await listSourceAccounts(db, instance.id, cursors.read(query, filters));
      const cursorOf = (row: SourceAccountRow) =>
        cursors.write({ key: row.created_at.toISOString(), id: row.id }, filters);
      const toItem = (row: SourceAccountRow) => toApiAccount(row, instance.name);
      return c.json(toPage(c, { rows, limit: query.limit, toItem, cursorOf }), 200);
    })
    .openapi(create, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const account = await createSourceAccount(deps, instance.id, c.req.valid('json'));
      return c.json(toApiAccount(account, instance.name), 201);
    })
    .openapi(read, async (c) => {
      const account = await getSourceAccount(db, c.req.valid('param').id);
      return c.json(toApiAccount(account, (await getInstance(db, account.instance_id)).name), 200);
    })
    .openapi(replace, async (c) => {
      const account = await getSourceAccount(db, c.req.valid('param').id);
      const changed = await changeSourceAccount(deps, account, c.req.valid('json'));
      return c.json(toApiAccount(changed, (await getInstance(db, account.instance_id)).name), 200);
    })
    .openapi(remove, async (c) => {
      await removeSourceAccount(db, await getSourceAccount(db, c.req.valid('param').id));
      return c.body(null, 204);
    });
}

async function createSourceAccount(
  deps: SourceAccountDeps,
  instanceId: string,
  { host, baseUrl, credential }: SourceAccountDefinition,
): Promise<SourceAccountRow> {
  await checkUrl(deps, { url: baseUrl, pointer: '/baseUrl' });
  return deps.db.transaction().execute(async (trx) =>
    insertSourceAccount(trx, {
      id: newId('src'),
      instance_id: instanceId,
      host,
      base_url: baseUrl,
      credential_ref: await sealCredential(trx, deps, { instanceId, credential }),
      created_at: deps.clock(),
    }),
  );
}

function sealCredential(
  trx: Database,
  { secretBox }: SourceAccountDeps,
  { instanceId, credential }: { instanceId: string; credential: SourceAccountDefinition['credential'] },
): Promise<string | null> {
  if (credential === null || credential === undefined) return Promise.resolve(null);
  return insertSecret(trx, secretBox, { ownerId: instanceId, kind: 'source', value: JSON.stringify(credential) });
}

/** An omitted credential stays, `null` clears it. */
async function changeSourceAccount(
  deps: SourceAccountDeps,
  account: SourceAccountRow,
  { host, baseUrl, credential }: SourceAccountDefinition,
): Promise<SourceAccountRow> {
  refuseChanged('source', [{ field: 'host', now: account.host, asked: host }]);
  await checkUrl(deps, { url: baseUrl, pointer: '/baseUrl' });
  return deps.db.transaction().execute(async (trx) => {
    if (credential === undefined) return updateSourceAccount(trx, account.id, { base_url: baseUrl });
    const credentialRef = await sealCredential(trx, deps, { instanceId: account.instance_id, credential });
    const changed = await updateSourceAccount(trx, account.id, { base_url: baseUrl, credential_ref: credentialRef });
    if (account.credential_ref !== null) await deleteSecrets(trx, [account.credential_ref]);
    return changed;
  });
}

async function removeSourceAccount(db: Database, account: SourceAccountRow): Promise<void> {
  const bound = await listBoundRepositories(db, account.id);
  if (bound.length > 0)
    throw conflict(
      'source_account.in_use',
      `Repositories are bound through this source account: ${bound.join(', ')}. Unbind them first.`,
    );
  await db.transaction().execute(async (trx) => {
    await deleteSourceAccount(trx, account.id);
    if (account.credential_ref !== null) await deleteSecrets(trx, [account.credential_ref]);
  });
}

function toApiAccount(row: SourceAccountRow, instance: string): z.infer<typeof accountAnswer> {
  return {
    id: row.id,
    instance,
    host: row.host,
    baseUrl: row.base_url,
    hasCredential: row.credential_ref !== null,
    createdAt: row.created_at.toISOString(),
  };
}
