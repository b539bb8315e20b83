import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { create, textAt } from '../support/api.ts';
import { createRepository } from '../support/api-world.ts';
import { textOf } from '../support/source-hosts/host-script.ts';
import type { ApiHost } from '../support/source-hosts/host-script.ts';
import { deliveryOf } from '../support/source-sender.ts';
import { sourceSenders } from '../support/source-senders.ts';
import { createSourceWorld } from '../support/source-world.ts';
import type { SourceWorld } from '../support/source-world.ts';

const hosts: readonly ApiHost[] = ['github', 'gitlab', 'gitee', 'bitbucket', 'bitbucket_data_center', 'gitea'];
const accounts = '/v1/instances/hangzhou/source-accounts';
const token = 'canary-host-token';

let world: SourceWorld;
afterEach(() => world.close());

async function account(host: ApiHost, credential: object | null = { token }): Promise<string> {
  return textAt(await create(world.api, accounts, { host, baseUrl: world.host.url, credential }), 'id');
}

/** A repository, and the address of its binding. */
async function bindable(): Promise<string> {
  return `/v1/repositories/${await createRepository(world.api, world.namespaceId, 'web')}/source-binding`;
}

/** A push as the host sends it, with its own payload. */
async function push(host: ApiHost, url: string, secret: string): Promise<{ status: number }> {
  const sender = sourceSenders.find(([, each]) => each.host === host)?.[1];
  if (sender === undefined) throw new Error(`no sender of ${host}`);
  const delivery = deliveryOf(sender, { secret, push: sender.pushes.branch, at: world.now });
  return world.api.app.request(new URL(url).pathname, { method: 'POST', ...delivery });
}

const web = (sourceAccount: string) => ({ sourceAccount, codeNamespace: 'acme', codeRepository: 'web.git' });

describe.each(hosts)('a repository of %s', (host) => {
  it('is cloned and its webhook installed when it is bound, brought up to date, and removed with it', async () => {
    world = await createSourceWorld(host);
    await world.code.commit({ Dockerfile: 'FROM scratch' });
    const { api } = world;
    const path = await bindable();
    const bound = await api.call('PUT', path, { body: web(await account(host)) });
    expect(bound.status).toBe(200);
    expect(bound.body).toMatchObject({
      codeRepository: 'web',
      hook: { installed: true, issue: null },
      commitStatus: { enabled: true, issue: null },
    });
    const secret = textAt(bound, 'hook.secret');
    const { hooks } = world.host.state;
    // What the host was given is what its deliveries are signed with.
    const kept = ['config.secret', 'signing_token', 'password', 'secret', 'configuration.secret'];
    const given = kept.map((place) => textOf(hooks[0]?.body, place)).find((text) => text !== '') ?? '';
    expect(await push(host, textAt(bound, 'hook.url'), given)).toMatchObject({ status: 202 });
    expect(await push(host, textAt(bound, 'hook.url'), `whsec_${'A'.repeat(43)}=`)).toMatchObject({ status: 401 });
    expect(hooks.map(({ body }) => JSON.stringify(body))).toEqual([expect.stringContaining(secret)]);
    expect(JSON.stringify(hooks)).toContain(textAt(bound, 'hook.url'));

    const rotated = await api.call('POST', `${path}/rotate-secret`);
    expect(rotated.body).toMatchObject({ installed: true });
    expect(JSON.stringify(hooks)).toContain(textAt(rotated, 'secret'));
    expect(JSON.stringify(hooks)).not.toContain(secret);

    const read = await api.call('GET', path);
    expect(read.body).toMatchObject({ hook: { installed: true, secret: null } });
    expect(JSON.stringify(read.body)).not.toContain(token);

    expect((await api.call('DELETE', path)).status).toBe(204);
    expect(hooks).toEqual([]);
  });

  it('is bound all the same when the credential may not install the webhook, and says what to paste where', async () => {
    world = await createSourceWorld(host);
    await world.code.commit({ Dockerfile: 'FROM scratch' });
    world.host.state.mayHook = false;
    const path = await bindable();
    const bound = await world.api.call('PUT', path, { body: web(await account(host)) });
    expect(bound.body).toMatchObject({ hook: { installed: false, issue: { code: 'source.hook_not_installed' } } });
    expect(textAt(bound, 'hook.instructions')).toContain(textAt(bound, 'hook.url'));
    world.host.state.mayHook = true;
    const again = await world.api.call('PUT', path, { body: web(textAt(bound, 'sourceAccount')) });
    expect(again.body).toMatchObject({ hook: { installed: true, issue: null, secret: null } });
    expect(JSON.stringify(world.host.state.hooks)).toContain(textAt(bound, 'hook.secret'));
  });
});

describe('a binding', () => {
  it('to an empty repository is in order; to one that is not there it is refused and nothing stays', async () => {
    world = await createSourceWorld('gitea');
    const path = await bindable();
    const id = await account('gitea');
    const missing = await world.api.call('PUT', path, { body: { ...web(id), codeRepository: 'none' } });
    expect(missing.body).toMatchObject({ errors: [{ pointer: '/codeRepository', code: 'source.not_found' }] });
    expect((await world.api.call('GET', path)).status).toBe(404);
    expect((await world.api.call('PUT', path, { body: web(id) })).status).toBe(200);
  });

  it('moved to other code takes its webhook along', async () => {
    world = await createSourceWorld('gitea');
    const path = await bindable();
    const id = await account('gitea');
    await world.api.call('PUT', path, { body: web(id) });
    const other = await account('gitea');
    const moved = await world.api.call('PUT', path, { body: web(other) });
    expect(moved.body).toMatchObject({ sourceAccount: other, hook: { installed: true, secret: null } });
    expect(world.host.state.hooks).toHaveLength(1);
    expect(world.host.state.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
  });

  it('leaves no webhook behind when its repository or namespace is deleted', async () => {
    world = await createSourceWorld('gitea');
    const { api, namespaceId } = world;
    const codeSource = web(await account('gitea'));
    const first = await createRepository(api, namespaceId, 'first', { codeSource });
    await createRepository(api, namespaceId, 'second', { codeSource });
    expect(world.host.state.hooks).toHaveLength(2);
    expect((await api.call('DELETE', `/v1/repositories/${first}`)).status).toBe(204);
    expect(world.host.state.hooks).toHaveLength(1);
    expect((await api.call('DELETE', `/v1/namespaces/${namespaceId}`)).status).toBe(204);
    expect(world.host.state.hooks).toEqual([]);
  });

  it('says that its credential was revoked, which git alone cannot tell', async () => {
    world = await createSourceWorld('gitlab');
    const path = await bindable();
    const id = await account('gitlab');
    // Revoked at the host: neither its API nor its git take it any more.
    await world.api.call('PUT', `/v1/source-accounts/${id}`, {
      body: { host: 'gitlab', baseUrl: world.host.url, credential: null },
    });
    world.host.state.token = 'another-token';
    const wrong = await world.api.call('POST', accounts, {
      body: { host: 'gitlab', baseUrl: world.host.url, credential: { token: 'canary-revoked' } },
    });
    expect(wrong.body).toMatchObject({ errors: [{ pointer: '/credential', code: 'source.credential_refused' }] });
    expect(JSON.stringify(wrong.body)).not.toContain('canary-revoked');
    world.host.state.token = 'canary-revoked';
    const later = await account('gitlab', { token: 'canary-revoked' });
    world.host.state.token = 'another-token';
    const refused = await world.api.call('PUT', path, { body: web(later) });
    expect(refused.body).toMatchObject({ errors: [{ pointer: '/sourceAccount', code: 'source.credential_refused' }] });
    world.host.state.token = 'canary-revoked';
    const narrow = await world.api.call('PUT', path, { body: web(later) });
    expect(narrow.body).toMatchObject({ errors: [{ pointer: '/codeRepository', code: 'source.not_authorized' }] });
  });

  it('lists the branches and tags of its code, those that match best first', async () => {
    world = await createSourceWorld('gitea');
    const { code, api } = world;
    const commit = await code.commit({ Dockerfile: 'FROM scratch' });
    for (const branch of ['release-v1', 'feature/release', 'release'])
      await code.git('update-ref', `refs/heads/${branch}`, commit);
    await code.git('tag', 'release-1.0', commit);
    const path = await bindable();
    await api.call('PUT', path, { body: web(await account('gitea')) });
    const found = await api.call('GET', `${path}/refs?q=release`);
    expect(found.body).toEqual({
      items: [
        { type: 'branch', name: 'release', commit },
        { type: 'branch', name: 'release-v1', commit },
        { type: 'branch', name: 'feature/release', commit },
        { type: 'tag', name: 'release-1.0', commit },
      ],
      total: 4,
    });
    expect((await api.call('GET', `${path}/refs`)).body).toMatchObject({ total: 5 });
  });

  it('shows what stands in a directory of a branch or tag, links as links', async () => {
    world = await createSourceWorld('gitea');
    const { code, api } = world;
    const commit = await code.commit({
      'services/web/Dockerfile': 'FROM scratch',
      'services/web/run.sh': 'true',
      'services/old': { link: 'web' },
      'README.md': 'read me',
    });
    await code.git('tag', 'v1', commit);
    const path = await bindable();
    await api.call('PUT', path, { body: web(await account('gitea')) });
    expect((await api.call('GET', `${path}/tree?ref=main`)).body?.['items']).toEqual([
      { name: 'services', path: 'services', type: 'directory' },
      { name: 'README.md', path: 'README.md', type: 'file' },
    ]);
    const deep = await api.call('GET', `${path}/tree?ref=v1&path=/services/`);
    expect(deep.body?.['items']).toEqual([
      { name: 'web', path: 'services/web', type: 'directory' },
      { name: 'old', path: 'services/old', type: 'link' },
    ]);
    expect(textAt(await api.call('GET', `${path}/tree?ref=none`), 'code')).toBe('source.ref_not_found');
    expect(textAt(await api.call('GET', `${path}/tree?ref=main&path=nowhere`), 'code')).toBe('source.path_not_found');
  });

  it('never lets a ref reach git that a command could read otherwise', async () => {
    world = await createSourceWorld('gitea');
    const path = await bindable();
    await world.api.call('PUT', path, { body: web(await account('gitea')) });
    for (const ref of ['--upload-pack=touch', '+main:refs/heads/x', 'a:b', 'a b', 'a..b', '-o', '*', 'a\x07b']) {
      const answer = await world.api.call('GET', `${path}/tree?ref=${encodeURIComponent(ref)}`);
      expect([ref, answer.body]).toMatchObject([ref, { code: 'request.invalid', errors: [{ pointer: '?ref' }] }]);
    }
  });
});

describe('a source account', () => {
  it('has the public address of its host by default, and must name one where there is none', async () => {
    world = await createSourceWorld('gitea', { overrides: { egressPolicy: openPolicy } });
    const github = await create(world.api, accounts, { host: 'github' });
    expect(github.body).toMatchObject({ baseUrl: 'https://github.com', hasCredential: false, credentialKind: null });
    const gitea = await world.api.call('POST', accounts, { body: { host: 'gitea' } });
    expect(gitea.body).toMatchObject({ errors: [{ pointer: '/baseUrl', code: 'source.base_url_invalid' }] });
  });

  it('never shows a stored credential to another host', async () => {
    world = await createSourceWorld('gitea');
    const own = `/v1/source-accounts/${await account('gitea')}`;
    const moved = { host: 'gitea', baseUrl: 'http://127.0.0.1:9' };
    const refused = await world.api.call('PUT', own, { body: moved });
    expect(refused.body).toMatchObject({ errors: [{ pointer: '/credential', code: 'source.credential_needed' }] });
    const again = await world.api.call('PUT', own, { body: { ...moved, credential: { token: 'another' } } });
    expect(again.body).toMatchObject({ baseUrl: 'http://127.0.0.1:9', credentialKind: 'token' });
  });

  it('takes an authority only in PEM form', async () => {
    world = await createSourceWorld('gitea');
    const pem = '-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n';
    for (const caCertificate of ['none', pem]) {
      const answer = await world.api.call('POST', accounts, {
        body: { host: 'gitea', baseUrl: world.host.url, caCertificate },
      });
      expect(answer.body).toMatchObject({
        errors: [{ pointer: '/caCertificate', code: 'source.ca_certificate_invalid' }],
      });
    }
  });
});

const openPolicy = { allow: ['external', 'loopback'], denied: [], ports: 'any', isHttpAllowed: true } as const;

it('a repository that is bound twice at the same moment has one binding, one address and one hook secret', async () => {
  world = await createSourceWorld('gitea');
  await world.code.commit({ Dockerfile: 'FROM scratch' });
  const { api } = world;
  const path = await bindable();
  const body = web(await account('gitea'));
  const both = await Promise.all([api.call('PUT', path, { body }), api.call('PUT', path, { body })]);
  expect(both.map(({ status }) => status)).toEqual([200, 200]);
  expect(new Set(both.map((bound) => textAt(bound, 'hook.url'))).size).toBe(1);
  // Shown to the one that made it.
  const secrets = both.map((bound) =>
    z.object({ hook: z.object({ secret: z.string().nullable() }) }).parse(bound.body),
  );
  expect(secrets.filter(({ hook }) => hook.secret !== null)).toHaveLength(1);
});
