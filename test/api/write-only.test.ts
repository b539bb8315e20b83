import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openSecret } from '../../db/repositories/secret.ts';
import { adminToken, textAt } from '../support/api.ts';
import { plantSecrets } from '../support/planted-secrets.ts';
import type { PlantedWorld } from '../support/planted-secrets.ts';

let world: PlantedWorld;
beforeAll(async () => {
  world = await plantSecrets();
});
afterAll(() => world.close());

const documented = z
  .object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
  .parse(JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')));
const readRoutes = Object.entries(documented.paths).flatMap(([path, methods]) => ('get' in methods ? [path] : []));

/** What routes that take a question are asked. */
const questions: Readonly<Record<string, string>> = {
  '/oauth/callback': '?state=none&code=none',
  '/v1/builds/{id}/log/search': '?q=a',
  '/v1/builds/{id}/log/ranges': '?platform=linux/amd64',
  '/v1/events': '?topics=runs',
  '/v1/repositories/{id}/source-binding/tree': '?ref=main',
};

/** Routes that have nothing to show in this world, with what they answer. */
const empty: Readonly<Record<string, number>> = {
  '/oauth/callback': 400,
  '/v1/replication-tasks/{id}': 404,
  '/v1/repositories/{id}/tags/{tag}': 404,
  '/v1/scans/{id}/report': 404,
};

/** The address of one of everything; a route about something new needs some of it planted. */
function addressOf(path: string): string {
  return path.replace(/([a-z-]+)\/\{\w+\}/g, (_, things: string) => {
    const id = new Map(Object.entries(world.ids)).get(things);
    if (id === undefined) throw new Error(`Nothing planted has an id for ${path}.`);
    return `${things}/${id}`;
  });
}

/** Status, headers and body; of a stream what it says at once. */
async function read(path: string): Promise<{ status: number; text: string }> {
  const ending = new AbortController();
  const response = await world.app.request(`${addressOf(path)}${questions[path] ?? ''}`, {
    headers:
      path === '/v1/sessions/current'
        ? { cookie: `sid=${world.sessionCookie}` }
        : { authorization: `Bearer ${adminToken}` },
    signal: ending.signal,
  });
  const head = JSON.stringify([...response.headers]);
  if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream'))
    return { status: response.status, text: head + (await response.text()) };
  const first = await response.body?.getReader().read();
  ending.abort();
  return { status: response.status, text: head + new TextDecoder().decode(first?.value) };
}

it('write-only looks for what it plants, also in a login as it is sent', () => {
  const what = 'password of a source account';
  const sent = Buffer.from(`ada:${world.planted[what]}`).toString('base64');
  expect(world.leaksIn(`Authorization: Basic ${sent}`)).toEqual([what]);
});

describe('write-only: a secret, of whatever kind,', () => {
  it.each(readRoutes)('is not told by GET %s', async (path) => {
    const { status, text } = await read(path);
    expect([path, status]).toEqual([path, empty[path] ?? 200]);
    expect(world.leaksIn(text)).toEqual([]);
  });

  it('is in nothing that a workflow is given', async () => {
    expect(world.started).toContain(world.ids.runs);
    expect(world.leaksIn(world.started)).toEqual([]);
  });

  it.each([
    ['POST', '/v1/instances/hangzhou/source-accounts', { host: 'none', credential: { token: 'SECRET' } }],
    ['POST', '/v1/instances/hangzhou/source-accounts', { host: 'git', credential: { key: 'SECRET' } }],
    ['POST', '/v1/instances/hangzhou/source-accounts', { host: 'git', baseUrl: 'https://ada:SECRET@git.example.com' }],
    ['POST', '/v1/instances', { name: 'x', registryUrl: 'none', credentials: { username: '', password: 'SECRET' } }],
    ['POST', '/v1/namespaces/NAMESPACE/secrets', { name: 'no name', value: 'SECRET' }],
    ['POST', '/v1/namespaces/NAMESPACE/secrets', { name: ['SECRET'], value: 1 }],
    ['POST', '/v1/repositories/REPOSITORY/triggers', { name: 'x', url: 'ftp://x/?key=SECRET' }],
    [
      'POST',
      '/v1/repositories/REPOSITORY/triggers',
      { name: 'x', headers: [{ name: 'X-Key', value: 'SECRET\u0001' }] },
    ],
    ['POST', '/v1/sessions', { token: 'SECRET' }],
    ['POST', '/v1/sessions', '{"token": SECRET'],
    ['POST', '/v1/namespaces/NAMESPACE/secrets', '{"name": "x", "value": "SECRET'],
  ])('is not repeated by the refusal of %s %s %j', async (method, path, body) => {
    const secret = 'canary-in-a-wrong-request-0123456789';
    const said = (text: string) =>
      text
        .replaceAll('SECRET', secret)
        .replace('NAMESPACE', world.ids.namespaces)
        .replace('REPOSITORY', world.ids.repositories);
    const sent = said(typeof body === 'string' ? body : JSON.stringify(body));
    const answer = await world.call(method, said(path), { body: sent });
    expect([400, 401, 422]).toContain(answer.status);
    expect(JSON.stringify(answer)).not.toContain(secret);
    expect(world.logged.join('')).not.toContain(secret);
  });

  it('is in no line of the log, also where a caller sent it to the wrong place', async () => {
    const headers = { 'x-gitlab-token': world.hook.secret, 'x-hub-signature-256': world.hook.secret };
    expect((await world.call('POST', world.hook.path, { body: {}, headers, isLoggedIn: false })).status).toBe(401);
    await world.call('GET', `/oauth/callback?code=${world.planted['access token of an OAuth grant']}&state=x`);
    await world.call('GET', '/v1/version', { headers: { authorization: `Bearer ${world.planted['build secret']}` } });
    expect(world.leaksIn(world.logged.join(''))).toEqual([]);
  });
});

describe('write-only: a secret given for one address', () => {
  const elsewhere = 'https://attacker.example.org';

  it('of a source host is not kept for another', async () => {
    const path = `/v1/source-accounts/${world.accounts.account}`;
    const before = await sealedOf('source_account', world.accounts.account);
    const moved = await world.call('PUT', path, { body: { host: 'github', baseUrl: elsewhere } });
    expect(moved).toMatchObject({ status: 422, body: { errors: [{ code: 'source.credential_needed' }] } });
    expect(await sealedOf('source_account', world.accounts.account)).toBe(before);
    expect((await world.call('GET', path)).body).toMatchObject({ baseUrl: 'https://github.com' });
  });

  it('of a registry is not kept for another, and is given up with null', async () => {
    const path = '/v1/instances/backup';
    const body = { name: 'backup', region: 'eu-central-1', kind: 'external', registryUrl: elsewhere };
    const moved = await world.call('PUT', path, { body });
    expect(moved).toMatchObject({ status: 422, body: { errors: [{ code: 'instance.credentials_needed' }] } });
    expect((await world.call('GET', path)).body).toMatchObject({ registryUrl: 'https://registry.example.com' });
    const id = textAt(await world.call('GET', path), 'id');
    const cleared = await world.call('PUT', path, { body: { ...body, credentials: null } });
    expect(cleared).toMatchObject({ status: 200, body: { registryUrl: elsewhere } });
    expect(await sealedOf('instance', id)).toBeNull();
  });

  it('of a receiver, in a header or in the address, is not kept for another', async () => {
    const path = `/v1/triggers/${world.triggerId}`;
    const body = { name: 'deploy', url: `${elsewhere}/?key=***`, headers: [{ name: 'Authorization', value: '***' }] };
    const moved = await world.call('PUT', path, { body, headers: { 'if-match': '*' } });
    expect(moved).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/headers/0/value', code: 'trigger.headers_needed' }] },
    });
    const without = { ...body, headers: [] };
    expect((await world.call('PUT', path, { body: without, headers: { 'if-match': '*' } })).status).toBe(200);
    const { definition } = await world.deps.db
      .selectFrom('trigger')
      .select('definition')
      .where('id', '=', world.triggerId)
      .executeTakeFirstOrThrow();
    expect(world.leaksIn(JSON.stringify(definition))).toEqual([]);
  });
});

/** What is sealed for an account or an instance; null: nothing. */
async function sealedOf(table: 'source_account' | 'instance', id: string): Promise<string | null> {
  const { db, secretBox } = world.deps;
  const row = await db.selectFrom(table).select('credential_ref').where('id', '=', id).executeTakeFirstOrThrow();
  return row.credential_ref === null ? null : openSecret(db, secretBox, row.credential_ref);
}
