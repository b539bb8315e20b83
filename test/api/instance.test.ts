import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RegistryError } from '../../domain/registry-error.ts';
import { create, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api.close());

const hangzhou = { name: 'hangzhou', region: 'cn-hangzhou', registryUrl: 'http://127.0.0.1:5001' };

describe('instances', () => {
  it('are registered, read by name or id, changed, and deleted when empty', async () => {
    const created = await create(api, '/v1/instances', { ...hangzhou, name: 'first' });
    expect(created.body).toMatchObject({
      name: 'first',
      region: 'cn-hangzhou',
      kind: 'managed',
      edition: 'advanced',
      status: 'running',
      hasCredentials: false,
      createdAt: '2026-11-21T12:00:00.000Z',
    });
    const byId = await api.call('GET', `/v1/instances/${textAt(created, 'id')}`);
    const byName = await api.call('GET', '/v1/instances/first');
    expect(byId.body).toEqual(byName.body);
    const changed = await api.call('PUT', '/v1/instances/first', {
      body: { ...hangzhou, name: 'first', registryUrl: 'http://127.0.0.1:5009' },
    });
    expect(changed.body).toMatchObject({ registryUrl: 'http://127.0.0.1:5009' });
    expect((await api.call('DELETE', '/v1/instances/first')).status).toBe(204);
    const gone = await api.call('GET', '/v1/instances/first');
    expect(gone.status).toBe(404);
    expect(gone.body).toMatchObject({
      code: 'instance.not_found',
      detail:
        'There is no instance "first", or you may not see it. Check the id, and that you are looking in the right instance.',
    });
  });

  it('offer the regions of the product documents, and are listed by region', async () => {
    await create(api, '/v1/instances', { ...hangzhou, name: 'in-hangzhou' });
    await create(api, '/v1/instances', { ...hangzhou, name: 'in-singapore', region: 'ap-southeast-1' });
    const regions = await api.call('GET', '/v1/regions');
    expect(regions.body?.['items']).toHaveLength(15);
    expect(regions.body?.['items']).toContainEqual({ id: 'ap-southeast-1', instances: 1 });
    const list = await api.call('GET', '/v1/instances?region=ap-southeast-1');
    expect(list.body).toMatchObject({ items: [{ name: 'in-singapore' }], nextCursor: null });
    const unknown = await api.call('POST', '/v1/instances', {
      body: { ...hangzhou, name: 'nowhere', region: 'mars-1' },
    });
    expect(unknown.status).toBe(422);
    expect(unknown.body).toMatchObject({
      code: 'request.invalid',
      errors: [{ pointer: '/region', code: 'instance.region_unknown' }],
    });
  });

  it('are listed in pages, whose cursor holds only for its own list', async () => {
    for (const name of ['page-a', 'page-b', 'page-c'])
      await create(api, '/v1/instances', { ...hangzhou, name, region: 'eu-central-1' });
    const first = await api.call('GET', '/v1/instances?region=eu-central-1&limit=2');
    expect(first.body).toMatchObject({ items: [{ name: 'page-a' }, { name: 'page-b' }] });
    const cursor = encodeURIComponent(textAt(first, 'nextCursor'));
    expect(first.headers.get('link')).toBe(`</v1/instances?region=eu-central-1&limit=2&cursor=${cursor}>; rel="next"`);
    const second = await api.call('GET', `/v1/instances?region=eu-central-1&limit=2&cursor=${cursor}`);
    expect(second.body).toMatchObject({ items: [{ name: 'page-c' }], nextCursor: null });
    expect(second.headers.get('link')).toBeNull();
    for (const path of [
      `/v1/instances?region=cn-hangzhou&cursor=${cursor}`,
      `/v1/instances?region=eu-central-1&cursor=x${cursor}`,
    ]) {
      const refused = await api.call('GET', path);
      expect([refused.status, refused.body?.['code']]).toEqual([422, 'cursor.invalid']);
    }
  });

  it('keep a login sealed: it is stored, never answered, stays when left out and goes with null', async () => {
    const external = {
      name: 'external-hub',
      region: 'cn-hangzhou',
      kind: 'external',
      registryUrl: 'https://hub.example.com',
    };
    const created = await create(api, '/v1/instances', {
      ...external,
      credentials: { username: 'robot', password: 'canary-password' },
    });
    expect(created.body).toMatchObject({ hasCredentials: true });
    expect(JSON.stringify(created.body)).not.toContain('canary-password');
    const secrets = await api.database.db.selectFrom('secret').selectAll().execute();
    expect(secrets).toHaveLength(1);
    expect(secrets[0]?.ciphertext.includes('canary-password')).toBe(false);
    const kept = await api.call('PUT', '/v1/instances/external-hub', { body: external });
    expect(kept.body).toMatchObject({ hasCredentials: true });
    const cleared = await api.call('PUT', '/v1/instances/external-hub', { body: { ...external, credentials: null } });
    expect(cleared.body).toMatchObject({ hasCredentials: false });
    expect(await api.database.db.selectFrom('secret').selectAll().execute()).toEqual([]);
  });

  it('keep name, region and kind', async () => {
    await create(api, '/v1/instances', { ...hangzhou, name: 'fixed' });
    const answer = await api.call('PUT', '/v1/instances/fixed', {
      body: { ...hangzhou, name: 'other', region: 'eu-central-1', kind: 'external' },
    });
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({
      errors: [
        {
          pointer: '/name',
          code: 'instance.name_invalid',
          message: '"name" was fixed as "fixed" at creation. Leave it so, or make a new one.',
        },
        { pointer: '/region', code: 'instance.region_invalid' },
        { pointer: '/kind', code: 'instance.kind_invalid' },
      ],
    });
  });

  it.each([
    ['ab', '"name" must match /^[a-z0-9][a-z0-9-]{1,28}[a-z0-9]$/.'],
    ['a'.repeat(31), '"name" must match /^[a-z0-9][a-z0-9-]{1,28}[a-z0-9]$/.'],
    ['cri-8f2k1m9q0w3e5r7t', 'Names starting with "cri-" are reserved: they look like an id. Choose another name.'],
  ])('refuse the name %s', async (name, message) => {
    const answer = await api.call('POST', '/v1/instances', { body: { ...hangzhou, name } });
    expect(answer.body).toMatchObject({ errors: [{ pointer: '/name', code: 'instance.name_invalid', message }] });
  });

  it('refuse a name that is taken and an address requests may not leave to', async () => {
    await create(api, '/v1/instances', { ...hangzhou, name: 'taken' });
    const taken = await api.call('POST', '/v1/instances', { body: { ...hangzhou, name: 'taken' } });
    expect([taken.status, taken.body?.['code']]).toEqual([409, 'instance.exists']);
    expect(textAt(taken, 'detail')).toBe(
      'Slipway already has an instance named "taken". Choose another name, or change the existing one.',
    );
    const metadata = await api.call('POST', '/v1/instances', {
      body: { ...hangzhou, name: 'evil', registryUrl: 'http://169.254.169.254/' },
    });
    expect(metadata.body).toMatchObject({ errors: [{ pointer: '/registryUrl', code: 'url.forbidden' }] });
    vi.mocked(api.deps.resolveHost).mockResolvedValueOnce(['93.184.216.34', '10.0.0.1']);
    const mixed = await api.call('POST', '/v1/instances', {
      body: { ...hangzhou, name: 'evil', registryUrl: 'https://mixed.example.com/' },
    });
    expect(mixed.body).toMatchObject({
      errors: [
        {
          code: 'url.forbidden',
          message:
            'Requests may not leave to mixed.example.com (10.0.0.1): it is not among the addresses the administrator allows.',
        },
      ],
    });
    vi.mocked(api.deps.resolveHost).mockRejectedValueOnce(new Error('ENOTFOUND'));
    const nameless = await api.call('POST', '/v1/instances', {
      body: { ...hangzhou, name: 'evil', registryUrl: 'https://nowhere.example.com/' },
    });
    expect(textAt(nameless, 'detail')).toBe('The name nowhere.example.com has no address. Check its spelling.');
  });

  it('stay while something uses them', async () => {
    await create(api, '/v1/instances', { ...hangzhou, name: 'used' });
    await create(api, '/v1/instances/used/namespaces', { name: 'shop' });
    const answer = await api.call('DELETE', '/v1/instances/used');
    expect([answer.status, answer.body?.['code']]).toEqual([409, 'instance.in_use']);
    expect(textAt(answer, 'detail')).toBe('The instance "used" is in use by the namespace "shop". Delete that first.');
  });

  it('tell what of connecting, pushing, pulling and deleting works', async () => {
    await create(api, '/v1/instances', { ...hangzhou, name: 'checked' });
    const down = await api.call('POST', '/v1/instances/checked/check');
    expect(down.body).toMatchObject({
      ok: false,
      checks: [
        { name: 'connect', ok: true },
        { name: 'push', ok: false, detail: 'not expected of the registry in this test' },
      ],
    });
    const client = await api.deps.registries.client('checked', []);
    vi.mocked(api.deps.registries.client).mockResolvedValueOnce({
      ...client,
      ping: () =>
        Promise.reject(new RegistryError('The login is refused.', { issue: 'unauthorized', isPermanent: true })),
    });
    const refused = await api.call('POST', '/v1/instances/checked/check');
    expect(refused.body).toEqual({
      ok: false,
      latencyMs: null,
      checks: [{ name: 'connect', ok: false, detail: 'The login is refused.' }],
    });
  });
});
