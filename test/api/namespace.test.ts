import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { create, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { createInstance, createNamespace, createRepository } from '../support/api-world.ts';

let api: TestApi;

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
});
afterAll(() => api.close());

describe('namespaces', () => {
  it('are private and make repositories by themselves unless told otherwise', async () => {
    const created = await create(api, '/v1/instances/hangzhou/namespaces', { name: 'defaults' });
    expect(created.body).toMatchObject({
      instance: 'hangzhou',
      name: 'defaults',
      autoCreateRepository: true,
      defaultRepositoryType: 'private',
      defaultTagImmutability: false,
    });
    const changed = await api.call('PUT', `/v1/namespaces/${textAt(created, 'id')}`, {
      body: {
        name: 'defaults',
        autoCreateRepository: false,
        defaultRepositoryType: 'public',
        defaultTagImmutability: true,
      },
    });
    expect(changed.body).toMatchObject({ autoCreateRepository: false, defaultRepositoryType: 'public' });
    const read = await api.call('GET', `/v1/namespaces/${textAt(created, 'id')}`);
    expect(read.body).toEqual(changed.body);
    const renamed = await api.call('PUT', `/v1/namespaces/${textAt(created, 'id')}`, { body: { name: 'other' } });
    expect(renamed.body).toMatchObject({ errors: [{ pointer: '/name', code: 'namespace.name_invalid' }] });
  });

  it.each([
    ['a', '"name" must have at least 2 characters.'],
    ['a'.repeat(121), '"name" must have at most 120 characters.'],
    ['Shop', '"name" must match /^[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*$/.'],
    ['slipway-own', 'Names starting with "slipway-" are reserved. Choose another name.'],
  ])('refuse the name %s', async (name, message) => {
    const answer = await api.call('POST', '/v1/instances/hangzhou/namespaces', { body: { name } });
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({
      code: 'request.invalid',
      detail: message,
      errors: [{ pointer: '/name', code: 'namespace.name_invalid', message }],
    });
  });

  it('are not made twice, and not in an external instance', async () => {
    await createNamespace(api, 'hangzhou', 'twice');
    const twice = await api.call('POST', '/v1/instances/hangzhou/namespaces', { body: { name: 'twice' } });
    expect([twice.status, twice.body?.['code']]).toEqual([409, 'namespace.exists']);
    expect(textAt(twice, 'detail')).toBe(
      'The instance "hangzhou" already has a namespace named "twice". Choose another name, or change the existing one.',
    );
    await create(api, '/v1/instances', {
      name: 'outside',
      region: 'cn-hangzhou',
      kind: 'external',
      registryUrl: 'https://hub.example.com',
    });
    const external = await api.call('POST', '/v1/instances/outside/namespaces', { body: { name: 'shop' } });
    expect([external.status, external.body?.['code']]).toEqual([409, 'namespace.needs_managed_instance']);
  });

  it('are at most 50, however many are asked for at once; the reserved one does not count', async () => {
    await createInstance(api, 'full');
    const answers = await Promise.all(
      Array.from({ length: 52 }, (_, index) =>
        api.call('POST', '/v1/instances/full/namespaces', { body: { name: `ns-${index}` } }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(50);
    const refused = answers.find(({ status }) => status !== 201);
    expect(refused?.body).toMatchObject({
      status: 409,
      code: 'quota.exceeded',
      quota: 'namespaces',
      limit: 50,
      used: 50,
      detail: 'The quota "namespaces" allows 50 and 50 are in use. Delete one, or ask the administrator to raise it.',
    });
  });

  it('go with their repositories and images, but not while a chain names them', async () => {
    const id = await createNamespace(api, 'hangzhou', 'going');
    const repositoryId = await createRepository(api, id, 'web');
    await create(api, `/v1/namespaces/${id}/triggers`, { name: 'call', url: 'https://example.com/hook' });
    const chain = await create(api, '/v1/instances/hangzhou/chains', {
      name: 'going',
      scope: { namespace: 'going' },
    });
    const kept = await api.call('DELETE', `/v1/namespaces/${id}`);
    expect([kept.status, kept.body?.['code']]).toEqual([409, 'namespace.in_use']);
    expect(textAt(kept, 'detail')).toBe(
      'The namespace "going" is in use: the chain "going" names it. End or change that first.',
    );
    await api.call('DELETE', `/v1/chains/${textAt(chain, 'id')}`, { headers: { 'if-match': '"1"' } });

    const deleted: string[] = [];
    const client = await api.deps.registries.client('hangzhou', []);
    const holding = {
      ...client,
      tagList: async () => ['v1', 'latest'],
      manifestHead: async () => ({ mediaType: 'application/json', digest: `sha256:${'a'.repeat(64)}`, size: 2 }),
      manifestDelete: async (repository: string, digest: string) => {
        deleted.push(`${repository}@${digest.slice(0, 10)}`);
      },
    };
    vi.mocked(api.deps.registries.client).mockResolvedValueOnce(holding).mockResolvedValueOnce(holding);
    expect((await api.call('DELETE', `/v1/namespaces/${id}`)).status).toBe(204);
    expect(deleted).toEqual(['going/web@sha256:aaa', `slipway-cache/${repositoryId}@sha256:aaa`]);
    expect((await api.call('GET', `/v1/repositories/${repositoryId}`)).status).toBe(404);
    expect(await api.database.db.selectFrom('secret').selectAll().where('owner_id', '=', id).execute()).toEqual([]);
  });

  it('stay when their registry does not delete the images', async () => {
    const id = await createNamespace(api, 'hangzhou', 'staying');
    await createRepository(api, id, 'web');
    vi.mocked(api.deps.registries.client).mockRejectedValueOnce(new Error('down'));
    const answer = await api.call('DELETE', `/v1/namespaces/${id}`);
    expect([answer.status, answer.body?.['code']]).toEqual([502, 'instance.not_reachable']);
    expect((await api.call('GET', `/v1/namespaces/${id}`)).status).toBe(200);
  });
});
