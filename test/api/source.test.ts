import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listReconcilable, noteReconcileFailed, noteReconciled } from '../../db/repositories/reconcile.ts';
import { openSecret } from '../../db/repositories/secret.ts';
import { create, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import {
  createInstance,
  createNamespace,
  createRepository,
  createSourceAccount,
  mainRule,
} from '../support/api-world.ts';

let api: TestApi;
let shop: string;

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
  shop = await createNamespace(api, 'hangzhou', 'shop');
});
afterAll(() => api.close());

const code = (sourceAccount: string) => ({ sourceAccount, codeNamespace: 'acme', codeRepository: 'web.git' });

describe('source accounts', () => {
  it('keep their login write-only: it stays when left out and goes with null', async () => {
    const path = '/v1/instances/hangzhou/source-accounts';
    const github = { host: 'github', baseUrl: 'https://github.com' };
    const created = await create(api, path, { ...github, credential: { username: 'ci', password: 'canary-token' } });
    expect(created.body).toMatchObject({ ...github, instance: 'hangzhou', hasCredential: true });
    expect(JSON.stringify(created.body)).not.toContain('canary-token');
    const own = `/v1/source-accounts/${textAt(created, 'id')}`;
    expect((await api.call('PUT', own, { body: github })).body).toMatchObject({ hasCredential: true });
    expect((await api.call('PUT', own, { body: { ...github, credential: null } })).body).toMatchObject({
      hasCredential: false,
    });
    const otherHost = await api.call('PUT', own, { body: { ...github, host: 'git' } });
    expect(otherHost.body).toMatchObject({ errors: [{ pointer: '/host', code: 'source.host_invalid' }] });
    expect((await api.call('GET', path)).body).toMatchObject({ items: [{ id: textAt(created, 'id') }] });
    expect((await api.call('DELETE', own)).status).toBe(204);
    expect(textAt(await api.call('GET', own), 'code')).toBe('source_account.not_found');
  });

  it('refuse an address that must not be reached, or that holds a login', async () => {
    const path = '/v1/instances/hangzhou/source-accounts';
    const metadata = await api.call('POST', path, { body: { host: 'git', baseUrl: 'http://169.254.169.254/x' } });
    expect(metadata.body).toMatchObject({ errors: [{ pointer: '/baseUrl', code: 'url.forbidden' }] });
    const login = await api.call('POST', path, { body: { host: 'git', baseUrl: 'https://a:b@git.example.com' } });
    expect(login.body).toMatchObject({
      errors: [
        {
          pointer: '/baseUrl',
          code: 'source.base_url_invalid',
          message: 'The address must not hold a user name or password. Give them as the credential.',
        },
      ],
    });
  });

  it('have a name, so that several of one host can be told apart; it stays when left out and goes with null', async () => {
    const github = { host: 'github', baseUrl: 'https://github.com' };
    const own = `/v1/source-accounts/${await createSourceAccount(api, 'hangzhou', { ...github, name: ' acme ' })}`;
    const nameAfter = async (body: object) => (await api.call('PUT', own, { body })).body?.['name'];
    expect(await nameAfter(github)).toBe('acme');
    expect(await nameAfter({ ...github, name: 'Acme Inc.' })).toBe('Acme Inc.');
    expect(await nameAfter({ ...github, name: null })).toBeNull();
    const long = await api.call('PUT', own, { body: { ...github, name: 'x'.repeat(65) } });
    expect(long.body).toMatchObject({ errors: [{ pointer: '/name', code: 'source.name_invalid' }] });
  });

  it('stay while a repository is bound through them', async () => {
    const account = await createSourceAccount(api, 'hangzhou');
    await createRepository(api, shop, 'bound', { codeSource: code(account) });
    expect((await api.call('GET', `/v1/source-accounts/${account}`)).body).toMatchObject({ repositories: 1 });
    const { body } = await api.call('GET', '/v1/instances/hangzhou/source-accounts?limit=100');
    expect(body?.['items']).toContainEqual(expect.objectContaining({ id: account, repositories: 1 }));
    const answer = await api.call('DELETE', `/v1/source-accounts/${account}`);
    expect([answer.status, answer.body?.['code']]).toEqual([409, 'source_account.in_use']);
    expect(textAt(answer, 'detail')).toBe(
      'Repositories are bound through this source account: shop/bound. Unbind them first.',
    );
  });
});

describe('source bindings', () => {
  it('are made, pointed elsewhere with the same hook, and taken away; rules rest meanwhile', async () => {
    const account = await createSourceAccount(api, 'hangzhou');
    const id = await createRepository(api, shop, 'rebound');
    const path = `/v1/repositories/${id}/source-binding`;
    expect(textAt(await api.call('GET', path), 'code')).toBe('source.not_found');
    const bound = await api.call('PUT', path, { body: code(account) });
    expect(bound.status).toBe(200);
    expect(bound.body).toMatchObject({ cloneUrl: 'http://127.0.0.1:7000/acme/web.git', lastEvent: null });
    expect(textAt(bound, 'hook.secret')).toMatch(/^whsec_/);
    expect(textAt(bound, 'hook.instructions')).toContain(textAt(bound, 'hook.url'));
    await create(api, `/v1/repositories/${id}/build-rules`, mainRule);

    const rebound = await api.call('PUT', path, { body: { ...code(account), codeRepository: 'other' } });
    expect(rebound.body).toMatchObject({
      codeRepository: 'other',
      hook: { url: textAt(bound, 'hook.url'), secret: null },
    });

    expect((await api.call('DELETE', path)).status).toBe(204);
    expect((await api.call('GET', `/v1/repositories/${id}`)).body).toMatchObject({ codeSource: null });
    const rules = await api.call('GET', `/v1/repositories/${id}/build-rules`);
    expect(rules.body?.['items']).toHaveLength(1);
  });

  it('rotate their secret: the old one is kept for 24 hours', async () => {
    const account = await createSourceAccount(api, 'hangzhou', { host: 'github' });
    const id = await createRepository(api, shop, 'rotated');
    const bound = await api.call('PUT', `/v1/repositories/${id}/source-binding`, { body: code(account) });
    const rotated = await api.call('POST', `/v1/repositories/${id}/source-binding/rotate-secret`);
    expect(rotated.status).toBe(200);
    const secret = textAt(rotated, 'secret');
    expect(secret).not.toBe(textAt(bound, 'hook.secret'));
    const { db } = api.database;
    const row = await db
      .selectFrom('source_binding')
      .selectAll()
      .where('repository_id', '=', id)
      .executeTakeFirstOrThrow();
    expect(await openSecret(db, api.deps.secretBox, row.hook_secret_ref)).toBe(secret);
    expect(await openSecret(db, api.deps.secretBox, row.previous_hook_secret_ref ?? '')).toBe(
      textAt(bound, 'hook.secret'),
    );
    expect(row.previous_hook_secret_until?.toISOString()).toBe('2026-11-22T12:00:00.000Z');
  });

  it('show the newest delivery their hook took', async () => {
    const account = await createSourceAccount(api, 'hangzhou');
    const id = await createRepository(api, shop, 'delivered');
    const bound = await api.call('PUT', `/v1/repositories/${id}/source-binding`, { body: code(account) });
    const hookId = textAt(bound, 'hook.url').split('/').at(-1) ?? '';
    await api.database.db
      .insertInto('inbox')
      .values([
        {
          hook_id: hookId,
          delivery_id: 'one',
          repository_id: id,
          host: 'git',
          event: 'push',
          body: null,
          state: 'handled',
          outcome: null,
          handled_at: null,
        },
        {
          hook_id: hookId,
          delivery_id: 'two',
          repository_id: id,
          host: 'git',
          event: 'push',
          body: null,
          state: 'handled',
          outcome: JSON.stringify({ kind: 'ignored', reason: 'no_rule' }),
          handled_at: null,
        },
      ])
      .execute();
    const read = await api.call('GET', `/v1/repositories/${id}/source-binding`);
    expect(read.body).toMatchObject({
      lastEvent: { event: 'push', state: 'handled', outcome: { kind: 'ignored', reason: 'no_rule' } },
    });
  });
});

describe('a source that stopped working', () => {
  it('says why on its binding until it is bound again, and when its refs were last compared', async () => {
    const repositoryId = await createRepository(api, shop, 'stopped');
    const path = `/v1/repositories/${repositoryId}/source-binding`;
    const account = await createSourceAccount(api, 'hangzhou');
    const bound = await api.call('PUT', path, { body: code(account) });
    expect(bound.body).toMatchObject({ issue: null, reconciledAt: null });

    const { db } = api.deps;
    const at = new Date('2026-11-21T12:00:00Z');
    const listed = await listReconcilable(db, { triedBefore: at, isNew: true });
    const binding = listed.find((each) => each.repository_id === repositoryId);
    if (binding === undefined) throw new Error('a new binding is to be compared');
    await noteReconciled(db, { binding, noted: [], gone: [], at });
    const error = { code: 'source.not_authorized', params: {}, text: 'The login is refused.' };
    await noteReconcileFailed(db, { binding, error, at });
    const stopped = await api.call('GET', path);
    expect(stopped.body).toMatchObject({ issue: error, reconciledAt: '2026-11-21T12:00:00.000Z' });

    const again = await api.call('PUT', path, { body: code(account) });
    expect(again.body).toMatchObject({ issue: null, reconciledAt: '2026-11-21T12:00:00.000Z' });
    const other = await api.call('PUT', path, { body: { ...code(account), codeRepository: 'other' } });
    expect(other.body).toMatchObject({ issue: null, reconciledAt: null });
  });
});
