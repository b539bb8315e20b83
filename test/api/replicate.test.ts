import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { createInstance, createNamespace, createRepository } from '../support/api-world.ts';

let api: TestApi;

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
  await createInstance(api, 'singapore', 'ap-southeast-1');
  await createInstance(api, 'frankfurt', 'eu-central-1');
  const shop = await createNamespace(api, 'hangzhou', 'shop');
  await createRepository(api, shop, 'web');
  await createNamespace(api, 'singapore', 'shop');
  await createNamespace(api, 'frankfurt', 'shop', { autoCreateRepository: false });
});
afterAll(() => api.close());

const rules = (instance = 'hangzhou') => `/v1/instances/${instance}/replication-rules`;
const toSingapore = {
  name: 'to-singapore',
  level: 'namespace',
  source: { namespace: 'shop' },
  destination: { region: 'ap-southeast-1', instance: 'singapore' },
};

describe('replication rules', () => {
  it('copy everything automatically unless told otherwise, and name the destination also when its id was given', async () => {
    const singapore = await api.call('GET', '/v1/instances/singapore');
    const created = await create(api, rules(), {
      ...toSingapore,
      name: 'defaults',
      destination: { region: 'ap-southeast-1', instance: textAt(singapore, 'id') },
    });
    expect(created.body).toMatchObject({
      sourceInstance: 'hangzhou',
      source: { namespace: 'shop', repository: null, repositoryFilter: '.*', tagFilter: '.*' },
      destination: { instance: 'singapore', namespace: null, repository: null },
      start: 'automatic',
      override: true,
      bandwidth: 0,
      enabled: true,
      version: 1,
    });
    const path = `/v1/replication-rules/${textAt(created, 'id')}`;
    const changed = await api.call('PUT', path, {
      body: { ...toSingapore, name: 'defaults', start: 'manual' },
      headers: { 'if-match': '"1"' },
    });
    expect(changed.body).toMatchObject({ start: 'manual', version: 2 });
    expect((await api.call('PUT', path, { body: toSingapore })).status).toBe(428);
    expect((await api.call('GET', rules())).body).toMatchObject({ items: [{ name: 'defaults' }] });
    const twice = await api.call('POST', rules(), { body: { ...toSingapore, name: 'defaults' } });
    expect([twice.status, twice.body?.['code']]).toEqual([409, 'replication_rule.exists']);
    expect((await api.call('DELETE', path, { headers: { 'if-match': '"2"' } })).status).toBe(204);
    expect(textAt(await api.call('GET', path), 'code')).toBe('replication_rule.not_found');
  });

  it.each([
    ['/source/repository', 'replication.source_incomplete', { level: 'repository' }],
    ['/source/repository', 'replication.source_incomplete', { source: { namespace: 'shop', repository: 'web' } }],
    ['/source/namespace', 'replication.namespace_invalid', { source: { namespace: 'nowhere' } }],
    [
      '/source/repository',
      'replication.repository_invalid',
      { level: 'repository', source: { namespace: 'shop', repository: 'nowhere' } },
    ],
    ['/source/tagFilter', 'regexp.invalid', { source: { namespace: 'shop', tagFilter: '(?=v)' } }],
    ['/destination/instance', 'replication.instance_invalid', { destination: { region: 'x-1', instance: 'nowhere' } }],
    [
      '/destination/instance',
      'replication.destination_is_source',
      { destination: { region: 'cn-hangzhou', instance: 'hangzhou' } },
    ],
    [
      '/destination/region',
      'replication.region_invalid',
      { destination: { region: 'eu-central-1', instance: 'singapore' } },
    ],
    [
      '/destination/namespace',
      'replication.destination_missing',
      { destination: { region: 'ap-southeast-1', instance: 'singapore', namespace: 'nowhere' } },
    ],
    [
      '/destination/repository',
      'replication.destination_missing',
      {
        level: 'repository',
        source: { namespace: 'shop', repository: 'web' },
        destination: { region: 'eu-central-1', instance: 'frankfurt' },
      },
    ],
  ])('name what is wrong at %s by %s', async (pointer, code, change) => {
    const answer = await api.call('POST', rules(), { body: { ...toSingapore, name: 'wrong', ...change } });
    expect(answer.status).toBe(422);
    expect(answer.body?.['errors']).toContainEqual(expect.objectContaining({ pointer, code }));
  });

  it('form no circle, over any number of instances', async () => {
    for (const name of ['hangzhou', 'singapore', 'frankfurt']) await createNamespace(api, name, 'ring');
    const leg = (name: string, region: string) => ({
      name: `ring-to-${name}`,
      level: 'namespace',
      source: { namespace: 'ring' },
      destination: { region, instance: name },
    });
    await create(api, rules('hangzhou'), leg('singapore', 'ap-southeast-1'));
    const second = await create(api, rules('singapore'), leg('frankfurt', 'eu-central-1'));
    const back = await api.call('POST', rules('frankfurt'), { body: leg('hangzhou', 'cn-hangzhou') });
    expect(back.status).toBe(409);
    expect(back.body).toMatchObject({
      code: 'replication.loop',
      detail:
        'Images would go round in a circle: frankfurt → hangzhou → singapore → frankfurt. Change or delete one of the rules on the way.',
    });
    const path = `/v1/replication-rules/${textAt(second, 'id')}`;
    const turned = await api.call('PUT', path, {
      body: leg('hangzhou', 'cn-hangzhou'),
      headers: { 'if-match': '"1"' },
    });
    expect(textAt(turned, 'code')).toBe('replication.loop');
  });

  it('are 100 per namespace', async () => {
    await createNamespace(api, 'hangzhou', 'many');
    await createNamespace(api, 'singapore', 'many');
    const many = (name: string) => ({ ...toSingapore, name, source: { namespace: 'many' } });
    for (let index = 0; index < 100; index += 1) await create(api, rules(), many(`many-${index}`));
    const answer = await api.call('POST', rules(), { body: many('one-more') });
    expect(answer.body).toMatchObject({
      status: 409,
      code: 'quota.exceeded',
      quota: 'replicationRulesPerNamespace',
      limit: 100,
      used: 100,
    });
  });
});
