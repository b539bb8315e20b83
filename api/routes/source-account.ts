import { z } from '@hono/zod-openapi';
import { getInstance } from '../../db/repositories/instance.ts';
import { deleteSecrets } from '../../db/repositories/secret.ts';
import {
  countBoundRepositories,
  deleteSourceAccount,
  getSourceAccount,
  insertSourceAccount,
  listBoundRepositories,
  listSourceAccounts,
  updateSourceAccount,
} from '../../db/repositories/source-account.ts';
import { accessOf } from '../../db/repositories/source-address.ts';
import { clearStatusIssues } from '../../db/repositories/source-binding.ts';
import type { Database } from '../../db/database.ts';
import { newId } from '../../db/new-id.ts';
import type { SourceAccountRow } from '../../db/tables/source.ts';
import { conflict, invalidRequest } from '../../domain/errors.ts';
import { credentialKinds, toSourceCredential } from '../../domain/source-credential.ts';
import type { HostSecret } from '../../domain/source-credential.ts';
import { SourceError } from '../../domain/source-error.ts';
import { credentialStates, sourceAccountSchema, sourceHostNames } from '../../domain/source.ts';
import type { SourceAccountDefinition } from '../../domain/source.ts';
import type { ApiDeps } from '../deps.ts';
import { refuseChanged } from '../fixed-fields.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, instanceParam, json, jsonBody, newRoutes, noContent, route } from '../route.ts';
import { checkAccount } from '../source-account-check.ts';
import { checkCredential } from '../source.ts';
import { checkPlace, sealCredential } from '../source-credential.ts';
import type { HostPlace } from '../source-credential.ts';

const accountAnswer = z
  .object({
    id: z.string(),
    instance: z.string(),
    name: z.string().nullable().openapi({ description: 'What people call it; null: by its address.' }),
    host: z.enum(sourceHostNames),
    baseUrl: z.url(),
    caCertificate: z.string().nullable(),
    hasCredential: z.boolean().openapi({ description: 'Whether a credential is stored; it is never answered.' }),
    credentialKind: z.enum(credentialKinds).nullable(),
    repositories: z.int().openapi({ description: 'How many repositories are bound through it.' }),
    createdAt: z.iso.datetime(),
  })
  .openapi('SourceAccount');
const checkAnswer = z
  .object({
    state: z.enum(credentialStates).openapi({
      description: '`untested`: this kind of host cannot be asked, or no credential is stored.',
    }),
    detail: z.string(),
    latencyMs: z.int(),
  })
  .openapi('SourceAccountCheck');
const example = {
  id: 'src-8f2k1m9q0w3e5r7t',
  instance: 'hangzhou',
  name: 'GitHub of acme',
  host: 'github',
  baseUrl: 'https://github.com',
  caCertificate: null,
  hasCredential: true,
  credentialKind: 'token',
  repositories: 3,
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
    summary: 'Change name, address or credential; the kind of host is fixed',
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
const check = route(
  {
    action: 'cr:GetSourceAccount',
    resource: resource,
    example: { state: 'accepted', detail: 'The host took the credential.', latencyMs: 184 },
  },
  {
    method: 'post',
    path: '/source-accounts/{id}/check',
    summary: 'Ask the host whether it takes the credential now',
    request: { params: idParam },
    responses: { 200: json(checkAnswer, 'What the host says.') },
  },
);
type SourceAccountDeps = Pick<
  ApiDeps,
  'db' | 'clock' | 'cursors' | 'secretBox' | 'egressPolicy' | 'resolveHost' | 'sourceHosts' | 'sourceLogins'
>;

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
      const repositories = await countBoundRepositories(
        db,
        rows.map(({ id }) => id),
      );
      const toItem = (row: SourceAccountRow) =>
        toApiAccount(row, { instance: instance.name, repositories: repositories.get(row.id) ?? 0 });
      return c.json(toPage(c, { rows, limit: query.limit, toItem, cursorOf }), 200);
    })
    .openapi(create, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const account = await createSourceAccount(deps, instance.id, c.req.valid('json'));
      return c.json(toApiAccount(account, { instance: instance.name, repositories: 0 }), 201);
    })
    .openapi(read, async (c) => {
      return c.json(await describeAccount(db, await getSourceAccount(db, c.req.valid('param').id)), 200);
    })
    .openapi(replace, async (c) => {
      const account = await getSourceAccount(db, c.req.valid('param').id);
      const changed = await changeSourceAccount(deps, account, c.req.valid('json'));
      return c.json(await describeAccount(db, changed), 200);
    })
    .openapi(remove, async (c) => {
      await removeSourceAccount(db, await getSourceAccount(db, c.req.valid('param').id));
      return c.body(null, 204);
    })
    .openapi(check, async (c) => {
      const account = await getSourceAccount(db, c.req.valid('param').id);
      return c.json(await checkAccount(deps, accessOf(account)), 200);
    });
}

async function createSourceAccount(
  deps: SourceAccountDeps,
  instanceId: string,
  definition: SourceAccountDefinition,
): Promise<SourceAccountRow> {
  const place = await checkPlace(deps, definition);
  const credential = toSourceCredential(definition.credential);
  await checkGiven(deps, place, credential);
  return deps.db.transaction().execute(async (trx) =>
    insertSourceAccount(trx, {
      id: newId('src'),
      instance_id: instanceId,
      name: definition.name ?? null,
      host: place.host,
      base_url: place.baseUrl,
      ca_certificate: place.caCertificate,
      ...(await sealCredential(trx, deps, { instanceId, credential })),
      created_at: deps.clock(),
    }),
  );
}

/** An omitted credential stays, `null` clears it. */
async function changeSourceAccount(
  deps: SourceAccountDeps,
  account: SourceAccountRow,
  definition: SourceAccountDefinition,
): Promise<SourceAccountRow> {
  refuseChanged('source', [{ field: 'host', now: account.host, asked: definition.host }]);
  const place = await checkPlace(deps, definition);
  const columns = {
    base_url: place.baseUrl,
    ca_certificate: place.caCertificate,
    ...(definition.name === undefined ? {} : { name: definition.name }),
  };
  if (definition.credential === undefined) {
    refuseElsewhere(account, place);
    return updateSourceAccount(deps.db, account.id, columns);
  }
  const credential = toSourceCredential(definition.credential);
  await checkGiven(deps, place, credential);
  return deps.db.transaction().execute(async (trx) => {
    const sealed = await sealCredential(trx, deps, { instanceId: account.instance_id, credential });
    const changed = await updateSourceAccount(trx, account.id, { ...columns, ...sealed });
    await clearStatusIssues(trx, account.id);
    if (account.credential_ref !== null) await deleteSecrets(trx, [account.credential_ref]);
    return changed;
  });
}

/** A host may say at once that it does not take the credential; one that is away is asked again when something is bound. */
async function checkGiven(deps: SourceAccountDeps, place: HostPlace, credential: HostSecret | null): Promise<void> {
  try {
    await checkCredential(deps, place, credential);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw invalidRequest([{ pointer: '/credential', code: error.code, message: error.message }]);
  }
}

/** A stored credential is never shown to another host than the one it was given for. */
function refuseElsewhere(account: SourceAccountRow, { baseUrl }: HostPlace): void {
  if (account.credential_ref === null || new URL(account.base_url).origin === new URL(baseUrl).origin) return;
  throw invalidRequest([
    {
      pointer: '/credential',
      code: 'source.credential_needed',
      message: 'The address is that of another host, and the stored credential was given for this one. Enter it again.',
    },
  ]);
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

async function describeAccount(db: Database, row: SourceAccountRow): Promise<z.infer<typeof accountAnswer>> {
  const instance = (await getInstance(db, row.instance_id)).name;
  const repositories = (await countBoundRepositories(db, [row.id])).get(row.id) ?? 0;
  return toApiAccount(row, { instance, repositories });
}

function toApiAccount(
  row: SourceAccountRow,
  { instance, repositories }: { instance: string; repositories: number },
): z.infer<typeof accountAnswer> {
  return {
    id: row.id,
    instance,
    name: row.name,
    host: row.host,
    baseUrl: row.base_url,
    caCertificate: row.ca_certificate,
    hasCredential: row.credential_ref !== null,
    credentialKind: row.credential_kind,
    repositories,
    createdAt: row.created_at.toISOString(),
  };
}
