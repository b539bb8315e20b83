import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { createInstance, createNamespace, createRepository } from '../support/api-world.ts';

let api: TestApi;

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
  const shop = await createNamespace(api, 'hangzhou', 'shop');
  await createRepository(api, shop, 'local');
});
afterAll(() => api.close());

const chains = '/v1/instances/hangzhou/chains';
const scope = (namespace: string | null, repository: string | null = null) => ({ namespace, repository });

describe('delivery chains', () => {
  it('scan by default, keep every version, and keep name and scope in order', async () => {
    await createNamespace(api, 'hangzhou', 'versions');
    const created = await create(api, chains, { name: 'versions', scope: scope('versions') });
    expect(created.headers.get('etag')).toBe('"1"');
    expect(created.body).toMatchObject({
      instance: 'hangzhou',
      name: 'versions',
      scope: { namespace: 'versions', repository: null, allEffective: true, exclude: [] },
      nodes: { push: {}, scan: { engine: 'trivy', strategy: 'non_blocking', holdTag: true } },
      enabled: true,
      version: 1,
    });
    const path = `/v1/chains/${textAt(created, 'id')}`;
    const blocking = {
      name: 'versions',
      scope: scope('versions'),
      nodes: { scan: { strategy: 'blocking', severity: 'high', vulnerabilities: 1 } },
    };
    const changed = await api.call('PUT', path, { body: blocking, headers: { 'if-match': '"1"' } });
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
    const same = await api.call('PUT', path, { body: blocking, headers: { 'if-match': '"2"' } });
    expect(same.headers.get('etag')).toBe('"2"');
    const versions = await api.call('GET', `${path}/versions`);
    expect(versions.body).toMatchObject({
      items: [
        { version: 2, nodes: { scan: { strategy: 'blocking' } } },
        { version: 1, nodes: { scan: { strategy: 'non_blocking' } } },
      ],
      nextCursor: null,
    });
    const moved = await api.call('PUT', path, {
      body: { name: 'versions', scope: scope('shop') },
      headers: { 'if-match': '"2"' },
    });
    expect([moved.status, moved.body?.['code']]).toEqual([409, 'chain.scope_immutable']);
    const stale = await api.call('DELETE', path, { headers: { 'if-match': '"1"' } });
    expect(stale.body).toMatchObject({ status: 412, code: 'request.stale', current: { version: 2 } });
    expect((await api.call('DELETE', path, { headers: { 'if-match': '"2"' } })).status).toBe(204);
    expect(textAt(await api.call('GET', path), 'code')).toBe('chain.not_found');
  });

  it('are one per scope; a disabled one takes none', async () => {
    await createNamespace(api, 'hangzhou', 'scoped');
    await create(api, chains, { name: 'scoped', scope: scope('scoped') });
    const second = await api.call('POST', chains, { body: { name: 'second', scope: scope('scoped') } });
    expect(second.status).toBe(409);
    expect(second.body).toMatchObject({
      code: 'chain.scope_taken',
      detail:
        'Another enabled chain has the same scope, the namespace "scoped": a repository belongs to one chain. Choose a narrower scope, or disable the other chain.',
    });
    const resting = await create(api, chains, { name: 'second', scope: scope('scoped'), enabled: false });
    const woken = await api.call('PUT', `/v1/chains/${textAt(resting, 'id')}`, {
      body: { name: 'second', scope: scope('scoped') },
      headers: { 'if-match': '"1"' },
    });
    expect(textAt(woken, 'code')).toBe('chain.scope_taken');
    const named = await api.call('POST', chains, { body: { name: 'scoped', scope: scope(null) } });
    expect([named.status, named.body?.['code']]).toEqual([409, 'chain.exists']);
  });

  it.each([
    ['/scope/namespace', 'chain.namespace_invalid', { scope: scope('nowhere') }],
    ['/scope/repository', 'chain.repository_invalid', { scope: scope('shop', 'nowhere') }],
    ['/scope/namespace', 'chain.namespace_invalid', { scope: scope(null, 'local') }],
    ['/nodes/build', 'chain.build_needs_source', { scope: scope('shop', 'local'), nodes: { build: {} } }],
    ['/scope/exclude', 'chain.exclude_invalid', { scope: { namespace: 'shop', exclude: ['local'] } }],
    [
      '/scope/exclude',
      'chain.exclude_invalid',
      { scope: { namespace: 'shop', allEffective: false, exclude: Array(51).fill('x') } },
    ],
    ['/nodes/scan/severity', 'scan.rule_incomplete', { nodes: { scan: { strategy: 'blocking' } } }],
    ['/nodes/scan/timeoutSeconds', 'scan.timeout_seconds_invalid', { nodes: { scan: { timeoutSeconds: 59 } } }],
    ['/nodes/scan/engine', 'scan.engine_unavailable', { nodes: { scan: { engine: 'osv' } } }],
    ['/nodes/sign', 'chain.graph_fixed', { nodes: { sign: {} } }],
    ['/name', 'chain.name_invalid', { name: '-x' }],
  ])('name what is wrong at %s by %s', async (pointer, code, change) => {
    const answer = await api.call('POST', chains, { body: { name: 'wrong', scope: scope('shop'), ...change } });
    expect(answer.status).toBe(422);
    expect(answer.body?.['errors']).toContainEqual(expect.objectContaining({ pointer, code }));
  });

  it('are 500 per instance', async () => {
    await createInstance(api, 'crowded');
    const { id } = await api.database.db
      .selectFrom('instance')
      .select('id')
      .where('name', '=', 'crowded')
      .executeTakeFirstOrThrow();
    await api.database.db
      .insertInto('chain')
      .values(
        Array.from({ length: 500 }, (_, index) => ({
          id: `chi-${index}`,
          instance_id: id,
          name: `c${index}`,
          definition: '{}',
          scope_key: `${index}`,
          enabled: false,
        })),
      )
      .execute();
    const answer = await api.call('POST', '/v1/instances/crowded/chains', { body: { name: 'one-more' } });
    expect(answer.body).toMatchObject({ status: 409, code: 'quota.exceeded', quota: 'chains', limit: 500, used: 500 });
  });
});
