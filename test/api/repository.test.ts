import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SourceError } from '../../domain/source-error.ts';
import { registryClient, scriptedRegistry } from '../support/registry-client.ts';
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
let account: string;

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
  shop = await createNamespace(api, 'hangzhou', 'shop');
  account = await createSourceAccount(api, 'hangzhou', { credential: { username: 'ci', password: 'canary-git' } });
});
afterAll(() => api.close());

const code = () => ({ sourceAccount: account, codeNamespace: 'acme', codeRepository: 'web' });

describe('repositories', () => {
  it('are made with their source and build rules, and show the secret of the hook once', async () => {
    const created = await create(api, `/v1/namespaces/${shop}/repositories`, {
      name: 'whole',
      summary: 'The shop window',
      codeSource: code(),
      buildRules: [mainRule, { ...mainRule, ref: { type: 'tag', name: 'v.*', match: 'regexp' } }],
    });
    expect(created.body).toMatchObject({
      instance: 'hangzhou',
      namespace: 'shop',
      name: 'whole',
      type: 'private',
      tagImmutability: false,
      codeSource: code(),
      buildSettings: { autoBuild: true, noCache: false },
      hook: { installed: false },
    });
    expect(textAt(created, 'hook.url')).toMatch(/^http:\/\/127\.0\.0\.1:8080\/hooks\/[A-Za-z0-9_-]{22}$/);
    expect(textAt(created, 'hook.secret')).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(vi.mocked(api.deps.git.cloneTest)).toHaveBeenLastCalledWith(
      'http://127.0.0.1:7000/acme/web.git',
      expect.objectContaining({ credential: { username: 'ci', password: 'canary-git' } }),
    );
    const rules = await api.call('GET', `/v1/repositories/${textAt(created, 'id')}/build-rules`);
    expect(rules.body).toMatchObject({ items: [{ ref: { name: 'main' } }, { ref: { name: 'v.*' } }] });
    const binding = await api.call('GET', `/v1/repositories/${textAt(created, 'id')}/source-binding`);
    expect(binding.body).toMatchObject({ hook: { url: textAt(created, 'hook.url'), secret: null }, lastEvent: null });
  });

  it.each([
    {
      what: 'a rule whose template names an unknown group',
      body: () => ({ codeSource: code(), buildRules: [mainRule, { ...mainRule, imageTags: [{ template: '${x}' }] }] }),
      error: { pointer: '/buildRules/1/imageTags/0/template', code: 'build_rule.unknown_group' },
    },
    {
      what: 'a rule with a look-behind',
      body: () => ({
        codeSource: code(),
        buildRules: [{ ...mainRule, ref: { type: 'branch', name: '(?<=v)1', match: 'regexp' } }],
      }),
      error: { pointer: '/buildRules/0/ref/name', code: 'regexp.invalid' },
    },
    {
      what: 'rules without a source',
      body: () => ({ buildRules: [mainRule] }),
      error: { pointer: '/buildRules', code: 'build_rule.needs_source' },
    },
    {
      what: 'a source account that is not there',
      body: () => ({ codeSource: { ...code(), sourceAccount: 'src-0000000000000000' } }),
      error: { pointer: '/codeSource/sourceAccount', code: 'source.source_account_invalid' },
    },
    {
      what: 'code outside the source host',
      body: () => ({ codeSource: { ...code(), codeNamespace: '../acme' } }),
      error: { pointer: '/codeSource/codeNamespace', code: 'source.code_namespace_invalid' },
    },
    {
      what: 'a summary of 101 characters',
      body: () => ({ summary: 'x'.repeat(101) }),
      error: { pointer: '/summary', code: 'repository.summary_invalid' },
    },
    {
      what: 'a field nobody knows',
      body: () => ({ sumary: 'x' }),
      error: { pointer: '/sumary', code: 'request.unknown_field' },
    },
  ])('are not made with $what, and nothing else is', async ({ body, error }) => {
    const { db } = api.database;
    const count = () =>
      db
        .selectFrom('repository')
        .select((select) => select.fn.countAll().as('count'))
        .execute();
    const secrets = () =>
      db
        .selectFrom('secret')
        .select((select) => select.fn.countAll().as('count'))
        .execute();
    const before = [await count(), await secrets()];
    const answer = await api.call('POST', `/v1/namespaces/${shop}/repositories`, {
      body: { name: 'refused', ...body() },
    });
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ code: 'request.invalid', errors: [error] });
    expect([await count(), await secrets()]).toEqual(before);
  });

  it('are not made when the test clone fails, and the host says why', async () => {
    vi.mocked(api.deps.git.cloneTest).mockRejectedValueOnce(
      new SourceError('source.not_authorized', 'The source host refuses this login. Check it.'),
    );
    const refused = await api.call('POST', `/v1/namespaces/${shop}/repositories`, {
      body: { name: 'refused', codeSource: code() },
    });
    expect(refused.body).toMatchObject({
      detail: 'The source host refuses this login. Check it.',
      errors: [{ pointer: '/codeSource/codeRepository', code: 'source.not_authorized' }],
    });
    vi.mocked(api.deps.git.cloneTest).mockRejectedValueOnce(new Error('aborted'));
    const silent = await api.call('POST', `/v1/namespaces/${shop}/repositories`, {
      body: { name: 'refused', codeSource: code() },
    });
    expect(silent.body).toMatchObject({ errors: [{ code: 'source.not_reachable' }] });
    expect((await api.call('GET', '/v1/repositories?name=refused')).body).toMatchObject({ items: [] });
  });

  it('leave nothing behind when a late part fails: the name was taken', async () => {
    await createRepository(api, shop, 'taken');
    const bindings = () => api.database.db.selectFrom('source_binding').selectAll().execute();
    const before = await bindings();
    const answer = await api.call('POST', `/v1/namespaces/${shop}/repositories`, {
      body: { name: 'taken', codeSource: code(), buildRules: [mainRule] },
    });
    expect([answer.status, answer.body?.['code']]).toEqual([409, 'repository.exists']);
    expect(await bindings()).toEqual(before);
  });

  it('take 50 build rules and no more', async () => {
    const rules = Array.from({ length: 50 }, (_, index) => ({
      ...mainRule,
      ref: { type: 'branch', name: `b${index}` },
    }));
    const created = await create(api, `/v1/namespaces/${shop}/repositories`, {
      name: 'fifty',
      codeSource: code(),
      buildRules: rules,
    });
    const id = textAt(created, 'id');
    const over = await api.call('POST', `/v1/repositories/${id}/build-rules`, { body: mainRule });
    expect(over.body).toMatchObject({ code: 'quota.exceeded', quota: 'buildRulesPerRepository', limit: 50, used: 50 });
    const page = await api.call('GET', `/v1/repositories/${id}/build-rules?limit=30`);
    const cursor = encodeURIComponent(textAt(page, 'nextCursor'));
    const rest = await api.call('GET', `/v1/repositories/${id}/build-rules?limit=30&cursor=${cursor}`);
    expect(rest.body).toMatchObject({ nextCursor: null });
    expect([...names(page.body), ...names(rest.body)]).toEqual(rules.map((rule) => rule.ref.name));
  });

  it('are found by their names, changed, and deleted with their secrets', async () => {
    const id = textAt(
      await create(api, `/v1/namespaces/${shop}/repositories`, { name: 'changing', codeSource: code() }),
      'id',
    );
    const found = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=changing');
    expect(found.body).toMatchObject({ items: [{ id }], nextCursor: null });
    const changed = await api.call('PUT', `/v1/repositories/${id}`, {
      body: { type: 'public', summary: 'New', buildSettings: { autoBuild: false } },
    });
    expect(changed.body).toMatchObject({
      type: 'public',
      summary: 'New',
      codeSource: code(),
      buildSettings: { autoBuild: false, noCache: false },
    });
    const { hook_secret_ref: secret } = await api.database.db
      .selectFrom('source_binding')
      .selectAll()
      .where('repository_id', '=', id)
      .executeTakeFirstOrThrow();
    expect((await api.call('DELETE', `/v1/repositories/${id}`)).status).toBe(204);
    expect(await api.database.db.selectFrom('secret').selectAll().where('id', '=', secret).execute()).toEqual([]);
    const gone = await api.call('GET', `/v1/repositories/${id}`);
    expect(textAt(gone, 'code')).toBe('repository.not_found');
  });

  it('take their images along, those of single architectures too', async () => {
    const id = await createRepository(api, shop, 'pushed');
    const registry = await scriptedRegistry();
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const part = registry.addManifest('shop/pushed', { schemaVersion: 2, mediaType, config: {}, layers: [] });
    const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [part] };
    registry.addManifest('shop/pushed', index, 'v1');
    const client = registryClient(registry.url);
    vi.mocked(api.deps.registries.client).mockResolvedValueOnce(client);
    expect((await api.call('DELETE', `/v1/repositories/${id}`)).status).toBe(204);
    expect(registry.repository('shop/pushed').manifests.size).toBe(0);
  });

  it('stay while a replication rule names them', async () => {
    await createInstance(api, 'singapore', 'ap-southeast-1');
    await createNamespace(api, 'singapore', 'shop');
    const id = await createRepository(api, shop, 'copied');
    await create(api, '/v1/instances/hangzhou/replication-rules', {
      name: 'copied',
      level: 'repository',
      source: { namespace: 'shop', repository: 'copied' },
      destination: { region: 'ap-southeast-1', instance: 'singapore' },
    });
    const answer = await api.call('DELETE', `/v1/repositories/${id}`);
    expect([answer.status, answer.body?.['code']]).toEqual([409, 'repository.in_use']);
    expect(textAt(answer, 'detail')).toContain('the replication rule "copied" names it');
  });
});

function names(body: Readonly<Record<string, unknown>> | null): unknown[] {
  const items = body?.['items'];
  return Array.isArray(items) ? items.map((item) => item.ref.name) : [];
}
