import { decodeJwt } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { findSourceAccount } from '../../db/repositories/source-account.ts';
import { accessOf } from '../../db/repositories/source-address.ts';
import type { SourceAccess } from '../../db/repositories/source-address.ts';
import { openSecret } from '../../db/repositories/secret.ts';
import { create, textAt } from '../support/api.ts';
import type { Answer } from '../support/api.ts';
import type { ApiHost } from '../support/source-hosts/host-script.ts';
import { consent } from '../support/source-hosts/oauth.ts';
import { createSourceWorld } from '../support/source-world.ts';
import type { SourceWorld } from '../support/source-world.ts';

const hosts: readonly ApiHost[] = ['github', 'gitlab', 'gitee', 'bitbucket', 'bitbucket_data_center', 'gitea'];
const path = '/v1/instances/hangzhou/source-accounts/authorizations';
const call = () => ({ signal: AbortSignal.timeout(10_000) });

let world: SourceWorld;
afterEach(() => world.close());

async function begin(host: ApiHost, more: object = {}): Promise<string> {
  return textAt(await create(world.api, path, { host, baseUrl: world.host.url, ...more }), 'url');
}

/** The host sends the browser back. */
function callback(query: URLSearchParams): Promise<Answer> {
  return world.api.call('GET', `/oauth/callback?${query.toString()}`);
}

/** The same as a browser, which takes pages: the answer is where the console is opened, never a document of ours. */
async function browserComesBack(query: object, options: { isLoggedIn?: boolean } = {}): Promise<string> {
  const search = new URLSearchParams({ ...query }).toString();
  const headers = { accept: 'text/html,application/xhtml+xml' };
  const answer = await world.api.call('GET', `/oauth/callback?${search}`, { headers, ...options });
  return `${answer.status} ${answer.headers.get('location') ?? ''}`;
}

/** The account the callback led to. */
async function connected(answer: Answer): Promise<SourceAccess> {
  expect(answer.status).toBe(302);
  const page = new URL(answer.headers.get('location') ?? '');
  expect([page.pathname, page.searchParams.get('instance')]).toEqual(['/source-accounts', 'hangzhou']);
  const id = page.searchParams.get('sourceAccount') ?? '';
  const account = await findSourceAccount(world.api.database.db, id);
  if (account === undefined) throw new Error('no account');
  return accessOf(account);
}

describe.each(hosts)('connecting %s in the browser', (host) => {
  it('ends in an account that clones and is renewed by itself; forged, replayed and late answers are refused', async () => {
    world = await createSourceWorld(host, { hasApps: true });
    const { state } = world.host;
    state.tokenSeconds = 7_200;
    const flow = { flow: 'oauth' };

    const back = consent(host, await begin(host, flow), state).searchParams;
    const forged = new URLSearchParams({ code: back.get('code') ?? '', state: 'x'.repeat(43) });
    expect(textAt(await callback(forged), 'code')).toBe('source.authorization_refused');

    const account = await connected(await callback(back));
    const { sourceLogins, secretBox } = world.api.deps;
    expect(await sourceLogins.secret(account, call())).toEqual({ kind: 'token', token: 'canary-host-token' });
    expect(textAt(await callback(back), 'code')).toBe('source.authorization_refused');

    const late = consent(host, await begin(host, flow), state).searchParams;
    world.now = new Date('2026-11-21T12:10:01Z');
    expect(textAt(await callback(late), 'code')).toBe('source.authorization_refused');

    // Two hours later its token has ended: of five at once one alone renews it, as hosts take a refresh token once.
    world.now = new Date('2026-11-21T14:30:00Z');
    state.token = 'canary-renewed-token';
    const before = state.requests.length;
    const secrets = await Promise.all(Array.from({ length: 5 }, () => sourceLogins.secret(account, call())));
    expect(new Set(secrets.map((secret) => JSON.stringify(secret))).size).toBe(1);
    expect(secrets[0]).toEqual({ kind: 'token', token: 'canary-renewed-token' });
    expect(state.requests.length - before).toBe(1);
    const sealed = await openSecret(world.api.database.db, secretBox, account.credentialRef ?? '');
    expect(sealed).toContain('canary-renewed-token');

    // The person took the consent back.
    world.now = new Date('2026-11-21T18:00:00Z');
    state.refreshTokens.clear();
    await expect(sourceLogins.secret(account, call())).rejects.toMatchObject({ code: 'source.credential_refused' });
  });
});

describe('an authorization', () => {
  it('that the host or the person refuses connects nothing', async () => {
    world = await createSourceWorld('gitlab', { hasApps: true });
    const denied = new URL(await begin('gitlab')).searchParams.get('state') ?? '';
    const answer = await callback(new URLSearchParams({ error: 'access_denied', state: denied }));
    expect([answer.status, textAt(answer, 'code')]).toEqual([400, 'source.authorization_refused']);
    const wrongCode = new URL(await begin('gitlab')).searchParams.get('state') ?? '';
    const refused = await callback(new URLSearchParams({ code: 'made-up', state: wrongCode }));
    expect(textAt(refused, 'code')).toBe('source.authorization_refused');
    world.host.state.fault = { status: 503 };
    const silent = new URL(await begin('gitlab')).searchParams.get('state') ?? '';
    const unanswered = await callback(new URLSearchParams({ code: 'code', state: silent }));
    expect([unanswered.status, textAt(unanswered, 'code')]).toEqual([503, 'source.not_reachable']);
    expect((await world.api.call('GET', '/v1/instances/hangzhou/source-accounts')).body).toMatchObject({ items: [] });
  });

  it('belongs to the one who began it, and is nothing without a login', async () => {
    world = await createSourceWorld('gitea', { hasApps: true });
    const back = consent('gitea', await begin('gitea'), world.host.state).searchParams;
    await world.api.database.db.updateTable('source_authorization').set({ actor: 'somebody else' }).execute();
    expect(textAt(await callback(back), 'code')).toBe('source.authorization_refused');
    const anonymous = await world.api.call('GET', `/oauth/callback?${back.toString()}`, { isLoggedIn: false });
    expect(anonymous.status).toBe(401);
  });

  it('gives an account that was refused a new credential, and only one of the same host', async () => {
    world = await createSourceWorld('gitea', { hasApps: true });
    const accounts = '/v1/instances/hangzhou/source-accounts';
    const made = await create(world.api, accounts, { host: 'gitea', baseUrl: world.host.url });
    const sourceAccount = textAt(made, 'id');
    const url = await begin('gitea', { sourceAccount });
    await connected(await callback(consent('gitea', url, world.host.state).searchParams));
    expect((await world.api.call('GET', `/v1/source-accounts/${sourceAccount}`)).body).toMatchObject({
      credentialKind: 'oauth',
    });
    const other = await world.api.call('POST', path, {
      body: { host: 'gitea', baseUrl: world.host.url, sourceAccount: 'src-0000000000000000' },
    });
    expect(other.body).toMatchObject({ errors: [{ code: 'source.source_account_invalid' }] });
  });

  it('leads a browser to the console, which says why it came to nothing', async () => {
    world = await createSourceWorld('gitlab', { hasApps: true });
    const stateOf = async () => new URL(await begin('gitlab')).searchParams.get('state') ?? '';
    const page = (refused: string) => `302 http://127.0.0.1:8080/source-accounts?refused=${refused}`;
    expect(await browserComesBack({ code: 'code', state: 'x'.repeat(43) })).toBe(page('not_begun'));
    expect(await browserComesBack({ error: 'access_denied', state: await stateOf() })).toBe(page('denied'));
    expect(await browserComesBack({ code: 'code', state: await stateOf() }, { isLoggedIn: false })).toBe(
      page('signed_out'),
    );
    world.host.state.fault = { status: 503 };
    expect(await browserComesBack({ code: 'code', state: await stateOf() })).toBe(page('not_reachable'));
  });

  it('is offered for the hosts an application is registered with, and their secrets are not told', async () => {
    world = await createSourceWorld('github', { hasApps: true });
    const { url: baseUrl, state } = world.host;
    const { body } = await world.api.call('GET', path);
    expect(body).toEqual({
      items: [
        { host: 'github', baseUrl, flow: 'app' },
        { host: 'github', baseUrl, flow: 'oauth' },
      ],
      nextCursor: null,
    });
    expect(JSON.stringify(body)).not.toContain(state.app.clientSecret);
  });

  it('is not to be had where the administrator registered nothing', async () => {
    world = await createSourceWorld('gitea');
    expect((await world.api.call('GET', path)).body).toEqual({ items: [], nextCursor: null });
    const answer = await world.api.call('POST', path, { body: { host: 'gitea', baseUrl: world.host.url } });
    expect([answer.status, textAt(answer, 'code')]).toEqual([409, 'source.authorization_unavailable']);
    expect(textAt(answer, 'detail')).toContain(world.host.url);
  });
});

describe('a host the egress rules forbid', () => {
  it('is not connected to, not even its consent page is named', async () => {
    world = await createSourceWorld('gitea', { hasApps: true });
    const answer = await world.api.call('POST', path, { body: { host: 'gitea', baseUrl: 'http://169.254.169.254' } });
    expect(answer.body).toMatchObject({ errors: [{ pointer: '/baseUrl', code: 'url.forbidden' }] });
  });
});

describe('installing a GitHub App', () => {
  /** GitHub installs, authorizes, and sends the browser back with all three. */
  async function install(installationId: string): Promise<Answer> {
    const page = new URL(await begin('github', { flow: 'app' }));
    expect(page.pathname).toBe('/apps/slipway/installations/new');
    const redirect_uri = 'http://127.0.0.1:8080/oauth/callback';
    const asked = new URLSearchParams({ client_id: 'client-1', redirect_uri });
    world.host.state.codes.set('code-1', asked);
    const state = page.searchParams.get('state') ?? '';
    return callback(
      new URLSearchParams({ code: 'code-1', installation_id: installationId, setup_action: 'install', state }),
    );
  }

  it('ends in an account that acts as the installation, by tokens of one hour', async () => {
    world = await createSourceWorld('github', { hasApps: true });
    world.host.state.installations.push(7, 99);
    const account = await connected(await install('99'));
    const { sourceLogins } = world.api.deps;
    const secret = await sourceLogins.secret(account, call());
    expect(secret).toEqual({ kind: 'token', token: 'canary-host-token' });
    const asked = world.host.state.requests.at(-1);
    expect(asked?.path).toBe('/api/v3/app/installations/99/access_tokens');
    const claims = decodeJwt(asked?.headers.authorization?.replace('Bearer ', '') ?? '');
    expect(claims).toMatchObject({ iss: '42', iat: 1_795_262_340, exp: 1_795_262_940 });
    const before = world.host.state.requests.length;
    await sourceLogins.git(account, call());
    expect(world.host.state.requests).toHaveLength(before);
    world.now = new Date('2026-11-21T12:56:00Z');
    await sourceLogins.git(account, call());
    expect(world.host.state.requests).toHaveLength(before + 1);
  });

  it('of another organization, by its number alone, is refused', async () => {
    world = await createSourceWorld('github', { hasApps: true });
    world.host.state.installations.push(7);
    const answer = await install('99');
    expect([answer.status, textAt(answer, 'code')]).toEqual([400, 'source.authorization_refused']);
    expect(textAt(answer, 'reason')).toBe('not_permitted');
  });
});
