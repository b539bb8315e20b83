import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminToken, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';

let now = new Date('2026-11-21T12:00:00Z');
let api: TestApi;

beforeAll(async () => {
  api = await createTestApi({ clock: () => now });
});
afterAll(() => api.close());

async function logIn(): Promise<string> {
  const answer = await api.call('POST', '/v1/sessions', { body: { token: adminToken }, isLoggedIn: false });
  expect(answer.status).toBe(201);
  return answer.headers.get('set-cookie') ?? '';
}

const cookieOf = (setCookie: string) => setCookie.split(';')[0] ?? '';

describe('logging in', () => {
  it('answers 401 to a call without a credential, with another token, or with the token in another scheme', async () => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${adminToken}` }]) {
      const answer = await api.call('GET', '/v1/version', { isLoggedIn: false, headers });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="slipway"');
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.body).toMatchObject({
        type: 'http://127.0.0.1:8080/docs/errors/access.unauthenticated',
        title: 'Unauthorized',
        code: 'access.unauthenticated',
        requestId: answer.headers.get('x-request-id'),
        errors: [],
      });
    }
  });

  it("turns the administrator's token into a cookie that reads and, with JSON or X-Requested-With, changes", async () => {
    const setCookie = await logIn();
    expect(setCookie).toMatch(/^sid=[A-Za-z0-9_-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/);
    const cookie = cookieOf(setCookie);
    const read = await api.call('GET', '/v1/sessions/current', { isLoggedIn: false, headers: { cookie } });
    expect(read.body).toEqual({ actor: 'administrator', expiresAt: '2026-11-22T00:00:00.000Z' });
    const form = await api.call('POST', '/v1/login-codes', { isLoggedIn: false, headers: { cookie } });
    expect(form.status).toBe(403);
    expect(textAt(form, 'code')).toBe('access.cross_site');
    const own = await api.call('POST', '/v1/login-codes', {
      isLoggedIn: false,
      headers: { cookie, 'x-requested-with': 'slipway' },
    });
    expect(own.status).toBe(201);
  });

  it('refuses a wrong token with a sentence that says where the right one is', async () => {
    const answer = await api.call('POST', '/v1/sessions', { body: { token: 'wrong' }, isLoggedIn: false });
    expect(answer.status).toBe(401);
    expect(textAt(answer, 'detail')).toBe(
      "This is not the administrator's token. Copy it again from where Slipway keeps it (adminToken in stack.json).",
    );
  });

  it('stores neither session tokens nor login codes in the clear', async () => {
    const token = cookieOf(await logIn()).slice('sid='.length);
    const made = await api.call('POST', '/v1/login-codes');
    const code = new URL(textAt(made, 'url')).searchParams.get('code') ?? '';
    const sessions = await api.database.db.selectFrom('session').selectAll().execute();
    const codes = await api.database.db.selectFrom('login_code').selectAll().execute();
    expect(JSON.stringify([sessions, codes])).not.toContain(token);
    expect(JSON.stringify([sessions, codes])).not.toContain(code);
  });

  it('logs in once with the code of a printed address, then says that it was used', async () => {
    const made = await api.call('POST', '/v1/login-codes');
    const address = new URL(textAt(made, 'url'));
    expect(address.pathname).toBe('/login');
    const login = { body: { code: address.searchParams.get('code') ?? '' }, isLoggedIn: false };
    const first = await api.call('POST', '/v1/sessions', login);
    expect(first.status).toBe(201);
    expect(first.headers.get('set-cookie')).toContain('sid=');
    const second = await api.call('POST', '/v1/sessions', login);
    expect(second.status).toBe(401);
    expect(textAt(second, 'detail')).toContain('each works once');
  });

  it('ends a session after 12 hours without a call, and after 7 days in any case', async () => {
    const start = now;
    const at = (hours: number) => new Date(start.getTime() + hours * 3_600_000);
    const idle = { cookie: cookieOf(await logIn()) };
    const busy = { cookie: cookieOf(await logIn()) };
    const read = (headers: Record<string, string>) =>
      api.call('GET', '/v1/sessions/current', { isLoggedIn: false, headers });
    for (let hours = 11; hours < 168; hours += 11) {
      now = at(hours);
      expect((await read(busy)).status).toBe(200);
    }
    expect((await read(idle)).status).toBe(401);
    now = at(168);
    expect((await read(busy)).status).toBe(401);
    now = start;
  });

  it('ends a session on logout', async () => {
    const headers = { cookie: cookieOf(await logIn()), 'x-requested-with': 'slipway' };
    expect((await api.call('DELETE', '/v1/sessions/current', { isLoggedIn: false, headers })).status).toBe(204);
    expect((await api.call('GET', '/v1/sessions/current', { isLoggedIn: false, headers })).status).toBe(401);
  });
});
