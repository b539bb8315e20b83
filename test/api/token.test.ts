import { SignJWT, UnsecuredJWT, createLocalJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createLoginTokens, publicJwks } from '../../activities/drivers/login-token.ts';
import { createRegistryTokens } from '../../activities/drivers/registry-token.ts';
import { parseTokenKey } from '../../activities/drivers/token-key.ts';
import { adminToken, create, createTestApi, newTokenKeyText, textAt } from '../support/api.ts';
import type { Answer, TestApi } from '../support/api.ts';
import { createInstance, createNamespace, createRepository } from '../support/api-world.ts';

const key = parseTokenKey(newTokenKeyText());
const start = new Date('2026-11-21T12:00:00Z');
let now = start;
const clock = () => now;
let api: TestApi;

beforeAll(async () => {
  const tokens = { key, clock };
  api = await createTestApi({
    clock,
    loginTokens: createLoginTokens(tokens),
    registryTokens: createRegistryTokens(tokens),
  });
  await createInstance(api, 'hangzhou');
  await createInstance(api, 'singapore', 'ap-southeast-1');
  const shop = await createNamespace(api, 'hangzhou', 'shop');
  await createRepository(api, shop, 'web');
  await createRepository(api, shop, 'site', { type: 'public' });
  const closed = await createNamespace(api, 'hangzhou', 'closed', { autoCreateRepository: false });
  await createRepository(api, closed, 'app');
});
afterAll(() => api.close());

const basic = (password: string, user = 'anyone') => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** Asks as a registry client does. */
function ask(
  scopes: readonly string[],
  { password, service = 'hangzhou' }: { password?: string; service?: string } = {},
) {
  const query = new URLSearchParams({ service });
  for (const scope of scopes) query.append('scope', scope);
  const headers = password === undefined ? {} : { authorization: basic(password) };
  return api.call('GET', `/auth/token?${query.toString()}`, { isLoggedIn: false, headers });
}

const accessOf = (answer: Answer) => decodeJwt(textAt(answer, 'token'))['access'];

async function login(access: readonly { repository: string; actions: readonly ('pull' | 'push' | 'delete')[] }[]) {
  return api.deps.loginTokens.sign({ subject: 'builder', access, ttlSeconds: 60 });
}

describe('the token service', () => {
  it('signs ES256 tokens that the JWKS of the registry verifies, with every claim it checks', async () => {
    const answer = await ask(['repository:shop/web:pull,push'], { password: adminToken });
    expect(answer.body).toMatchObject({ expires_in: 300, issued_at: start.toISOString() });
    expect(textAt(answer, 'access_token')).toBe(textAt(answer, 'token'));
    const jwks = createLocalJWKSet(JSON.parse(publicJwks(key)));
    const { payload, protectedHeader } = await jwtVerify(textAt(answer, 'token'), jwks, {
      algorithms: ['ES256'],
      issuer: 'slipway',
      audience: 'hangzhou',
      currentDate: now,
    });
    const seconds = start.getTime() / 1000;
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: key.kid, typ: 'JWT' });
    expect(payload).toEqual({
      iss: 'slipway',
      sub: 'administrator',
      aud: 'hangzhou',
      iat: seconds,
      nbf: seconds - 60,
      exp: seconds + 300,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      access: [{ type: 'repository', name: 'shop/web', actions: ['pull', 'push'] }],
    });
  });

  it('shows registries the public half of the key only', () => {
    const { keys } = JSON.parse(publicJwks(key));
    expect(keys).toEqual([
      { kty: 'EC', crv: 'P-256', x: expect.any(String), y: expect.any(String), kid: key.kid, use: 'sig', alg: 'ES256' },
    ]);
  });

  it('grants the intersection of what is asked and what is allowed; less is no error', async () => {
    const password = await login([
      { repository: 'shop/web', actions: ['pull'] },
      { repository: 'closed/*', actions: ['pull', 'push'] },
    ]);
    const answer = await ask(
      ['repository:shop/web:pull,push', 'repository:closed/app:push,delete repository:other/app:pull', 'odd'],
      { password },
    );
    expect(answer.status).toBe(200);
    expect(decodeJwt(textAt(answer, 'token')).sub).toBe('builder');
    expect(accessOf(answer)).toEqual([
      { type: 'repository', name: 'shop/web', actions: ['pull'] },
      { type: 'repository', name: 'closed/app', actions: ['push'] },
    ]);
    expect(accessOf(await ask([], { password }))).toEqual([]);
  });

  it('lets everybody pull public repositories, and nobody more', async () => {
    expect(accessOf(await ask(['repository:shop/site:pull,push']))).toEqual([
      { type: 'repository', name: 'shop/site', actions: ['pull'] },
    ]);
    expect(
      accessOf(await ask(['repository:shop/web:pull', 'repository:nowhere/x:pull', 'registry:catalog:*'])),
    ).toEqual([]);
  });

  it('gives the catalog to the administrator alone', async () => {
    const asked = ['registry:catalog:*'];
    expect(accessOf(await ask(asked, { password: adminToken }))).toEqual([
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ]);
    const password = await login([{ repository: '*', actions: ['pull'] }]);
    expect(accessOf(await ask(asked, { password }))).toEqual([]);
  });

  it('makes the repository a push names where the namespace makes them, and refuses the push elsewhere', async () => {
    const made = await ask(['repository:shop/made:push,pull'], { password: adminToken });
    expect(accessOf(made)).toEqual([{ type: 'repository', name: 'shop/made', actions: ['pull', 'push'] }]);
    const found = await api.call('GET', '/v1/repositories?name=made');
    expect(found.body).toMatchObject({ items: [{ namespace: 'shop', summary: 'Automatically created repository' }] });
    for (const path of ['closed/new', 'nowhere/new', 'nopath'])
      expect(accessOf(await ask([`repository:${path}:push`], { password: adminToken }))).toEqual([]);
  });

  it('takes the form docker posts', async () => {
    const form = new URLSearchParams({
      grant_type: 'password',
      service: 'hangzhou',
      client_id: 'docker',
      username: 'anyone',
      password: adminToken,
      scope: 'repository:shop/web:pull repository:shop/site:pull',
    });
    const answer = await api.app.request('/auth/token', { method: 'POST', body: form });
    expect(answer.status).toBe(200);
    const body = z.object({ token: z.string() }).parse(await answer.json());
    expect(decodeJwt(body.token)['access']).toHaveLength(2);
  });

  it('answers a login that does not hold, and a service that is none, in the form registry clients read', async () => {
    const wrong = await ask(['repository:shop/site:pull'], { password: 'wrong' });
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get('www-authenticate')).toBe('Basic realm="slipway"');
    expect(wrong.body).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
    const unknown = await ask([], { service: 'nowhere' });
    expect(unknown.status).toBe(400);
    expect(unknown.body).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] });
  });

  it('refuses every forged login: unsigned, signed with the public key as a secret, by another key, for another use', async () => {
    const claims = { access: [{ repository: '*', actions: ['pull', 'push'] }] };
    const header = { kid: key.kid, typ: 'JWT' };
    const sign = (alg: string) =>
      new SignJWT(claims)
        .setProtectedHeader({ ...header, alg })
        .setIssuer('slipway')
        .setSubject('evil')
        .setExpirationTime(new Date(now.getTime() + 60_000));
    const other = await generateKeyPair('ES256');
    const publicPem = key.publicKey.export({ type: 'spki', format: 'pem' });
    const forged = {
      'alg none': new UnsecuredJWT(claims)
        .setIssuer('slipway')
        .setAudience('slipway-login')
        .setSubject('evil')
        .setExpirationTime(new Date(now.getTime() + 60_000))
        .encode(),
      'HS256 with the public key': await sign('HS256')
        .setAudience('slipway-login')
        .sign(new TextEncoder().encode(String(publicPem))),
      'another key': await sign('ES256').setAudience('slipway-login').sign(other.privateKey),
      'a key of its own in the header': await new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', jwk: await exportJWK(other.publicKey) })
        .setIssuer('slipway')
        .setAudience('slipway-login')
        .setSubject('evil')
        .setExpirationTime(new Date(now.getTime() + 60_000))
        .sign(other.privateKey),
      'another audience': await sign('ES256').setAudience('hangzhou').sign(key.privateKey),
      'a registry token': textAt(await ask(['repository:shop/web:pull'], { password: adminToken }), 'token'),
    };
    for (const [what, password] of Object.entries(forged))
      expect([what, (await ask(['repository:shop/web:pull'], { password })).status]).toEqual([what, 401]);
  });
});

describe('authorization tokens', () => {
  it('log in to their own instance for an hour, and to no other', async () => {
    const answer = await create(api, '/v1/instances/hangzhou/authorization-tokens', {});
    expect(answer.body).toMatchObject({ username: 'administrator', expiresAt: '2026-11-21T13:00:00.000Z' });
    const password = textAt(answer, 'token');
    expect(accessOf(await ask(['repository:shop/web:pull,push,delete'], { password }))).toEqual([
      { type: 'repository', name: 'shop/web', actions: ['pull', 'push', 'delete'] },
    ]);
    expect((await ask([], { password, service: 'singapore' })).status).toBe(401);
    now = new Date(start.getTime() + 3_601_000);
    expect((await ask(['repository:shop/web:pull'], { password })).status).toBe(401);
    now = start;
  });

  it('are made without a body, and live 1 to 24 hours', async () => {
    const path = '/v1/instances/hangzhou/authorization-tokens';
    expect((await api.call('POST', path)).status).toBe(201);
    const day = await create(api, path, { lifetimeHours: 24 });
    expect(textAt(day, 'expiresAt')).toBe('2026-11-22T12:00:00.000Z');
    for (const lifetimeHours of [0, 25]) {
      const answer = await api.call('POST', path, { body: { lifetimeHours } });
      expect(answer.body).toMatchObject({
        status: 422,
        errors: [
          {
            pointer: '/lifetimeHours',
            code: 'token.lifetime_invalid',
            message: 'A login token lives 1 to 24 hours.',
          },
        ],
      });
    }
  });
});
