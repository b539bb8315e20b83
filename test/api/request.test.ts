import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../api/app.ts';
import { readConfig } from '../../domain/config.ts';
import { createTestApi, testDeps, testEnvironment, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { createInstance } from '../support/api-world.ts';

let api: TestApi;
let now = new Date('2026-11-21T12:00:00Z');

beforeAll(async () => {
  api = await createTestApi({ clock: () => now });
  await createInstance(api, 'hangzhou');
});
afterAll(() => api.close());

const namespaces = '/v1/instances/hangzhou/namespaces';

describe('every request', () => {
  it('carries its id and the security headers on its answer', async () => {
    const given = await api.call('GET', '/v1/version', { headers: { 'x-request-id': 'from-outside-1' } });
    expect(given.headers.get('x-request-id')).toBe('from-outside-1');
    const odd = await api.call('GET', '/v1/version', { headers: { 'x-request-id': 'has spaces' } });
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(given.headers.get('content-security-policy')).toBe(
      "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(given.headers.get('x-content-type-options')).toBe('nosniff');
    expect(given.headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    ['a body that is no JSON', '{"name":', 'application/json', 400, 'request.unreadable'],
    ['a body of another type', 'name: shop', 'text/yaml', 415, 'request.unsupported_media_type'],
    ['a body over 1 MB', `{"name":"${'x'.repeat(1024 * 1024)}"}`, 'application/json', 413, 'request.too_large'],
    ['an unknown field', '{"name":"shop","owner":"me"}', 'application/json', 422, 'request.invalid'],
    ['a missing field', '{}', 'application/json', 422, 'request.invalid'],
  ])('with %s is refused and changes nothing', async (_what, body, type, status, code) => {
    const answer = await api.call('POST', namespaces, { body, headers: { 'content-type': type } });
    expect([answer.status, answer.body?.['code']]).toEqual([status, code]);
    expect(textAt(answer, 'type')).toBe(`http://127.0.0.1:8080/docs/errors/${code}`);
    expect((await api.call('GET', namespaces)).body).toMatchObject({ items: [{ name: 'slipway-base' }] });
  });

  it('hears which field is unknown, missing or of the wrong type', async () => {
    const answer = await api.call('POST', namespaces, { body: { owner: 'me', autoCreateRepository: 'yes' } });
    expect(answer.body).toMatchObject({
      detail: '"name" is missing. (and 2 more)',
      errors: [
        { pointer: '/name', code: 'namespace.name_invalid', message: '"name" is missing.' },
        {
          pointer: '/autoCreateRepository',
          code: 'namespace.auto_create_repository_invalid',
          message: '"autoCreateRepository" must be of type boolean.',
        },
        {
          pointer: '/owner',
          code: 'request.unknown_field',
          message: '"owner" is not a field here. Check its spelling, or leave it out.',
        },
      ],
    });
  });

  it('for a page of no size is refused', async () => {
    for (const limit of ['0', '101', 'many', '1.5']) {
      const answer = await api.call('GET', `${namespaces}?limit=${limit}`);
      expect(answer.body).toMatchObject({
        status: 422,
        errors: [{ pointer: '?limit', code: 'request.limit_invalid', message: 'A page holds 1 to 100 items.' }],
      });
    }
  });

  it('for an unknown path is 404 with a login and 401 without', async () => {
    expect((await api.call('GET', '/v1/nothing')).body).toMatchObject({ status: 404, code: 'request.route_not_found' });
    expect((await api.call('GET', '/v1/nothing', { isLoggedIn: false })).status).toBe(401);
  });

  it('that fails through us says nothing of why, and logs all of it', async () => {
    const error = vi.fn<(details: object, text: string) => void>();
    const log = Object.assign(Object.create(api.deps.log), { child: () => ({ error, debug: () => {} }) });
    const app = createApp({
      ...api.deps,
      log,
      cursors: {
        read: () => {
          throw new Error('canary: the password is 1234');
        },
        write: () => '',
      },
    });
    const answer = await app.request('/v1/instances', {
      headers: { authorization: 'Bearer test-administrator-token' },
    });
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(text).toContain('"code":"internal"');
    expect(text).not.toContain('canary');
    expect(error).toHaveBeenCalledExactlyOnceWith({ err: expect.any(Error) }, 'request failed unexpectedly');
  });
});

describe('Idempotency-Key', () => {
  const call = (key: string, body: object) =>
    api.call('POST', namespaces, { body, headers: { 'idempotency-key': key } });

  it('answers the same request again as it was answered, and does it once', async () => {
    const first = await call('one', { name: 'once' });
    const again = await call('one', { name: 'once' });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body).toEqual(first.body);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });

  it('answers a refusal again too, and a key used with another body with 422', async () => {
    const first = await call('two', { name: 'A' });
    expect((await call('two', { name: 'A' })).body).toEqual(first.body);
    expect((await call('two', { name: 'B' })).body).toMatchObject({ status: 422, code: 'idempotency.key_reused' });
  });

  it('is refused while the first request is being answered, taken over when that was cut off, and forgotten after a day', async () => {
    const { db } = api.database;
    await call('three', { name: 'third' });
    const mine = () => db.updateTable('idempotency_key').where('key', '=', 'three');
    await mine().set({ status: null, answer: null }).execute();
    expect((await call('three', { name: 'third' })).body).toMatchObject({ status: 409, code: 'idempotency.in_flight' });
    now = new Date(now.getTime() + 3 * 60_000);
    expect((await call('three', { name: 'third' })).body).toMatchObject({ code: 'namespace.exists' });
    now = new Date(now.getTime() + 25 * 3_600_000);
    expect((await call('three', { name: 'another' })).status).toBe(201);
  });

  it('is at most 255 characters', async () => {
    const answer = await call('k'.repeat(256), { name: 'long' });
    expect(answer.body).toMatchObject({ status: 422, errors: [{ code: 'request.idempotency_key_invalid' }] });
  });

  it('keeps answers sealed: a secret shown once is not in the database', async () => {
    const path = '/v1/instances/hangzhou/authorization-tokens';
    const answer = await api.call('POST', path, { body: {}, headers: { 'idempotency-key': 'sealed' } });
    const rows = await api.database.db.selectFrom('idempotency_key').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(textAt(answer, 'token'));
    const again = await api.call('POST', path, { body: {}, headers: { 'idempotency-key': 'sealed' } });
    expect(again.body).toEqual(answer.body);
  });
});

describe('without a login', () => {
  it('health, documentation and the token service answer, the rest of the API does not', async () => {
    for (const path of [
      '/livez',
      '/startupz',
      '/openapi.json',
      '/docs/errors/internal',
      '/auth/token?service=hangzhou',
    ])
      expect([path, (await api.call('GET', path, { isLoggedIn: false })).status]).toEqual([path, 200]);
    const document = await api.call('GET', '/openapi.json');
    const paths = Object.entries(document.body?.['paths'] ?? {});
    expect(paths.length).toBeGreaterThan(30);
    for (const [path, methods] of paths) {
      if (!path.startsWith('/v1/')) continue;
      for (const method of Object.keys(methods)) {
        if (`${method} ${path}` === 'post /v1/sessions') continue;
        const url = path.replaceAll(/\{[^}]*\}/g, 'x');
        const answer = await api.call(method.toUpperCase(), url, { isLoggedIn: false });
        expect([method, path, answer.status]).toEqual([method, path, 401]);
      }
    }
  });
});

describe('health', () => {
  it('says no without the database, and names what hooks can do without', async () => {
    const degraded = createApp({ ...api.deps, readiness: { degraded: async () => ['temporal', 'store'] } });
    const answer = await degraded.request('/readyz');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ status: 'ok', degraded: ['temporal', 'store'] });

    const other = await createTestApi();
    expect((await other.call('GET', '/readyz')).status).toBe(200);
    await other.close();
    expect((await other.call('GET', '/livez')).status).toBe(200);
    expect((await other.call('GET', '/readyz')).status).toBe(503);
    expect((await other.call('GET', '/startupz')).status).toBe(503);
  });

  it('says no once the process is stopping', async () => {
    const stopping = createApp({ ...api.deps, stopping: AbortSignal.abort() });
    expect((await stopping.request('/readyz')).status).toBe(503);
    expect((await stopping.request('/livez')).status).toBe(200);
  });
});

describe('limits and version', () => {
  it('are told', async () => {
    expect((await api.call('GET', '/v1/version')).body).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect((await api.call('GET', '/v1/limits')).body).toMatchObject({ pageSizeMax: 100, apiBodyBytes: 1_048_576 });
  });
});

describe('the console', () => {
  it('is served with its own paths, and the API keeps its 404', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'slipway-console-'));
    await mkdir(join(dir, 'assets'));
    await writeFile(join(dir, 'index.html'), '<!doctype html><title>Slipway</title>');
    await writeFile(join(dir, 'assets', 'app-1a2b.js'), 'export {};');
    const config = readConfig({ ...testEnvironment, SLIPWAY_CONSOLE_DIR: dir });
    const app = createApp(testDeps({ db: api.database.db, config }));
    for (const path of ['/', '/records/some-run']) {
      const page = await app.request(path);
      expect([path, page.status, page.headers.get('cache-control')]).toEqual([path, 200, 'no-cache']);
      expect(await page.text()).toContain('<title>Slipway</title>');
    }
    const asset = await app.request('/assets/app-1a2b.js');
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(asset.headers.get('content-type')).toContain('javascript');
    for (const path of ['/assets/gone.js', '/favicon.ico', '/docs/errors/none', '/..%2f..%2fetc/passwd.txt'])
      expect([path, (await app.request(path)).status]).toEqual([path, 404]);
    await rm(dir, { recursive: true });
  });

  it('that was not built stops the start with a sentence', () => {
    const config = readConfig({ ...testEnvironment, SLIPWAY_CONSOLE_DIR: '/nowhere' });
    expect(() => createApp(testDeps({ db: api.database.db, config }))).toThrow(
      'There is no built console in /nowhere: index.html is missing.',
    );
  });
});
