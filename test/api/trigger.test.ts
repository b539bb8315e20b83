import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSecret } from '../../db/repositories/secret.ts';
import { create, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { createInstance, createNamespace, createRepository } from '../support/api-world.ts';

let api: TestApi;
let shop: string;
let web: string;

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
  shop = await createNamespace(api, 'hangzhou', 'shop');
  web = await createRepository(api, shop, 'web');
});
afterAll(() => api.close());

const redeploy = { name: 'redeploy', url: 'https://deploy.example.com/hook?key=canary-key&env=prod' };

function rowOf(id: string) {
  return api.database.db.selectFrom('trigger').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}

describe('triggers', () => {
  it('show their signing secret once, and never what stands in the query of their URL or in headers', async () => {
    const created = await create(api, `/v1/repositories/${web}/triggers`, {
      ...redeploy,
      headers: [{ name: 'Authorization', value: 'Bearer canary-header' }],
    });
    expect(created.body).toMatchObject({
      namespaceId: shop,
      repositoryId: web,
      url: 'https://deploy.example.com/hook?key=***&env=***',
      headers: [{ name: 'Authorization', value: '***' }],
      condition: { kind: 'all' },
      format: 'standard',
      enabled: true,
      disabledReason: null,
      version: 1,
    });
    const secret = textAt(created, 'secret');
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const id = textAt(created, 'id');
    const read = await api.call('GET', `/v1/triggers/${id}`);
    const list = await api.call('GET', `/v1/repositories/${web}/triggers`);
    for (const answer of [created, read, list]) expect(JSON.stringify(answer.body)).not.toMatch(/canary/);
    for (const answer of [read, list]) expect(JSON.stringify(answer.body)).not.toContain(secret);
    expect(await openSecret(api.database.db, api.deps.secretBox, (await rowOf(id)).secret_ref)).toBe(secret);
  });

  it('keep masked values that are sent back unchanged, and take new ones', async () => {
    const created = await create(api, `/v1/repositories/${web}/triggers`, {
      ...redeploy,
      name: 'masked',
      headers: [{ name: 'X-Key', value: 'canary-header' }],
    });
    const path = `/v1/triggers/${textAt(created, 'id')}`;
    const masked = {
      name: 'masked',
      url: textAt(created, 'url'),
      headers: [{ name: 'X-Key', value: '***' }],
      condition: { kind: 'tags', tags: ['v1'] },
    };
    expect((await api.call('PUT', path, { body: masked, headers: { 'if-match': '"1"' } })).status).toBe(200);
    expect((await rowOf(textAt(created, 'id'))).definition).toMatchObject({
      url: redeploy.url,
      headers: [{ name: 'X-Key', value: 'canary-header' }],
      condition: { kind: 'tags', tags: ['v1'] },
    });
    const renewed = { ...masked, url: 'https://deploy.example.com/hook?key=new', headers: [] };
    await api.call('PUT', path, { body: renewed, headers: { 'if-match': '"2"' } });
    expect((await rowOf(textAt(created, 'id'))).definition).toMatchObject({ url: renewed.url, headers: [] });
  });

  it('belong to a repository or to a whole namespace, by a name of their own in each', async () => {
    const ofNamespace = await create(api, `/v1/namespaces/${shop}/triggers`, { ...redeploy, name: 'shared' });
    expect(ofNamespace.body).toMatchObject({ namespaceId: shop, repositoryId: null });
    await create(api, `/v1/repositories/${web}/triggers`, { ...redeploy, name: 'shared' });
    const twice = await api.call('POST', `/v1/namespaces/${shop}/triggers`, { body: { ...redeploy, name: 'shared' } });
    expect([twice.status, twice.body?.['code']]).toEqual([409, 'trigger.exists']);
    const list = await api.call('GET', `/v1/namespaces/${shop}/triggers`);
    expect(list.body).toMatchObject({ items: [{ name: 'shared', repositoryId: null }], nextCursor: null });
  });

  it.each([
    ['/url', 'url.forbidden', { url: 'http://169.254.169.254/latest/meta-data' }],
    ['/url', 'url.forbidden', { url: 'http://10.0.0.1/' }],
    ['/url', 'url.forbidden', { url: 'https://user:secret@deploy.example.com/' }],
    ['/url', 'trigger.url_invalid', { url: 'ftp://deploy.example.com/' }],
    ['/condition/regexp', 'regexp.invalid', { condition: { kind: 'regexp', regexp: '(?<!x)v' } }],
    ['/condition/tags', 'trigger.tags_invalid', { condition: { kind: 'tags', tags: Array(51).fill('a') } }],
    ['/headers', 'trigger.headers_invalid', { headers: Array(11).fill({ name: 'A', value: 'b' }) }],
    ['/headers/0/name', 'trigger.headers_invalid', { headers: [{ name: 'webhook-signature', value: 'x' }] }],
  ])('name what is wrong at %s by %s', async (pointer, code, change) => {
    const answer = await api.call('POST', `/v1/repositories/${web}/triggers`, {
      body: { ...redeploy, name: 'wrong', ...change },
    });
    expect(answer.status).toBe(422);
    expect(answer.body?.['errors']).toContainEqual(expect.objectContaining({ pointer, code }));
  });

  it('are changed and deleted only by who saw the newest version', async () => {
    const id = textAt(await create(api, `/v1/repositories/${web}/triggers`, { ...redeploy, name: 'versions' }), 'id');
    const body = { ...redeploy, name: 'versions', enabled: false };
    expect((await api.call('PUT', `/v1/triggers/${id}`, { body })).status).toBe(428);
    expect((await api.call('PUT', `/v1/triggers/${id}`, { body, headers: { 'if-match': '"1"' } })).status).toBe(200);
    const stale = await api.call('DELETE', `/v1/triggers/${id}`, { headers: { 'if-match': '"1"' } });
    expect(stale.body).toMatchObject({ status: 412, code: 'request.stale', current: { version: 2, enabled: false } });
    expect(JSON.stringify(stale.body)).not.toContain('canary-key');
    const { secret_ref: secret } = await rowOf(id);
    expect((await api.call('DELETE', `/v1/triggers/${id}`, { headers: { 'if-match': '"2"' } })).status).toBe(204);
    expect(await api.database.db.selectFrom('secret').selectAll().where('id', '=', secret).execute()).toEqual([]);
  });

  it('are enabled again after they were disabled, which forgets why', async () => {
    const id = textAt(await create(api, `/v1/repositories/${web}/triggers`, { ...redeploy, name: 'disabled' }), 'id');
    await api.database.db
      .updateTable('trigger')
      .set({
        enabled: false,
        disabled_reason: JSON.stringify({ code: 'trigger.gone', params: {}, text: 'The receiver answered 410.' }),
        first_failure_at: new Date(),
      })
      .where('id', '=', id)
      .execute();
    const disabled = await api.call('GET', `/v1/triggers/${id}`);
    expect(disabled.body).toMatchObject({ enabled: false, disabledReason: { code: 'trigger.gone' } });
    const enabled = await api.call('POST', `/v1/triggers/${id}/enable`);
    expect(enabled.body).toMatchObject({ enabled: true, disabledReason: null, version: 2 });
    expect(await rowOf(id)).toMatchObject({ first_failure_at: null, definition: { enabled: true } });
  });

  it('rotate their secret: both sign for 24 hours', async () => {
    const created = await create(api, `/v1/repositories/${web}/triggers`, { ...redeploy, name: 'rotated' });
    const rotated = await api.call('POST', `/v1/triggers/${textAt(created, 'id')}/rotate-secret`);
    expect(rotated.body).toMatchObject({ previousUntil: '2026-11-22T12:00:00.000Z' });
    const row = await rowOf(textAt(created, 'id'));
    const open = (ref: string | null) => openSecret(api.database.db, api.deps.secretBox, ref ?? '');
    expect(await open(row.secret_ref)).toBe(textAt(rotated, 'secret'));
    expect(await open(row.previous_secret_ref)).toBe(textAt(created, 'secret'));
  });

  it('are 100 per namespace, those of its repositories included', async () => {
    const many = await createNamespace(api, 'hangzhou', 'many');
    const app = await createRepository(api, many, 'app');
    for (let index = 0; index < 50; index += 1) {
      await create(api, `/v1/namespaces/${many}/triggers`, { ...redeploy, name: `n${index}` });
      await create(api, `/v1/repositories/${app}/triggers`, { ...redeploy, name: `r${index}` });
    }
    const answer = await api.call('POST', `/v1/repositories/${app}/triggers`, { body: redeploy });
    expect(answer.body).toMatchObject({ code: 'quota.exceeded', quota: 'triggersPerNamespace', limit: 100, used: 100 });
  });
});
