import { describe, expect, test } from 'vitest';
import { manifestMediaTypes } from '../../domain/image-manifest.ts';
import { failureOf, registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { digestOf, refuse, type ScriptedRegistry } from '../support/scripted-registry.ts';

const signal = new AbortController().signal;
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(Buffer.from('{}')), size: 2 };
const image = { schemaVersion: 2, mediaType: manifestMediaTypes.ociManifest, config, layers: [] };

interface TokenServer {
  readonly scopes: string[][];
}

/** Tokens that name the scopes they were asked for, from `/token` on the registry itself; every request must be covered. */
function withTokens(
  registry: ScriptedRegistry,
  { realm = `${registry.url}/token`, password = 'secret' } = {},
): TokenServer {
  const scopes: string[][] = [];
  const basic = `Basic ${Buffer.from(`robot:${password}`).toString('base64')}`;
  registry.rules.push({
    when: /^GET \/token/,
    answer: (response, { query, headers }) => {
      if (headers.authorization !== basic) return refuse(response, 401, 'UNAUTHORIZED');
      scopes.push(query.getAll('scope'));
      const token = Buffer.from(query.getAll('scope').join(' ')).toString('base64url');
      response.end(JSON.stringify({ access_token: token, expires_in: 300 }));
    },
  });
  registry.authorize = ({ path, method, headers }) => {
    const needed = method === 'GET' || method === 'HEAD' ? 'pull' : 'push';
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1];
    const held = Buffer.from(headers.authorization?.replace('Bearer ', '') ?? '', 'base64url').toString();
    const isCovered = held
      .split(' ')
      .some((scope) => scope.startsWith(`repository:${repository}:`) && scope.includes(needed));
    if (isCovered || (repository === undefined && headers.authorization !== undefined)) return undefined;
    return `Basic realm="old, still named", Bearer realm="${realm}",service="${registry.host}",scope="repository:${repository}:${needed}"`;
  };
  return { scopes };
}

const robot = { username: 'robot', password: 'secret' };

describe('a registry with a token server', () => {
  test('is asked for one token per repository and kind of access, not one per request', async () => {
    const registry = await scriptedRegistry();
    const tokens = withTokens(registry);
    const { digest } = registry.addManifest('shop/web', image, 'v1');
    const client = registryClient(registry.url, { credentials: robot });
    await Promise.all([1, 2, 3, 4, 5].map(() => client.manifestHead('shop/web', 'v1', { signal })));
    expect((await client.manifestGet('shop/web', digest, { signal })).digest).toBe(digest);
    expect(tokens.scopes).toEqual([['repository:shop/web:pull']]);
  });

  test('is prepared once for writing, and everything after goes through at the first try', async () => {
    const registry = await scriptedRegistry();
    const tokens = withTokens(registry);
    const client = registryClient(registry.url, { credentials: robot });
    await expect(client.repositoryHead('shop/web', { actions: ['pull', 'push'], signal })).resolves.toBe(false);
    const before = registry.requests.length;
    const bytes = Buffer.from('a layer');
    await client.blobPut('shop/web', bytes, { digest: digestOf(bytes), signal });
    expect(registry.requests.slice(before).map(({ method }) => method)).toEqual(['HEAD', 'POST', 'PUT']);
    expect(tokens.scopes).toEqual([['repository:shop/web:pull,push']]);
  });

  test('a mount asks for the right to pull from its source too', async () => {
    const registry = await scriptedRegistry();
    const tokens = withTokens(registry);
    const blob = registry.addBlob('base/debian', Buffer.from('base'));
    const client = registryClient(registry.url, { credentials: robot });
    await expect(client.blobMount('shop/web', blob, { from: 'base/debian', signal })).resolves.toBe(true);
    expect(tokens.scopes).toEqual([['repository:shop/web:pull,push', 'repository:base/debian:pull']]);
  });

  test('a token that was revoked is dropped and fetched once more', async () => {
    const registry = await scriptedRegistry();
    const tokens = withTokens(registry);
    registry.addManifest('shop/web', image, 'v1');
    const client = registryClient(registry.url, { credentials: robot });
    await client.manifestHead('shop/web', 'v1', { signal });
    registry.rules.unshift({
      when: /^HEAD/,
      times: 1,
      answer: (response) =>
        refuse(response, 401, 'UNAUTHORIZED', {
          'www-authenticate': `Bearer realm="${registry.url}/token",service="x"`,
        }),
    });
    await expect(client.manifestHead('shop/web', 'v1', { signal })).resolves.toBeDefined();
    expect(tokens.scopes.length).toBe(2);
  });

  test('wrong credentials are permanent, name the token server, and are not tried again', async () => {
    const registry = await scriptedRegistry();
    withTokens(registry, { password: 'another' });
    const client = registryClient(registry.url, { credentials: robot });
    const failure = await failureOf(client.manifestGet('shop/web', 'v1', { signal }));
    expect(failure).toMatchObject({ issue: 'unauthorized', isPermanent: true });
    expect(failure.message).toBe(
      `The token server ${registry.host} gave no token (401). Check the user name and password of this registry.`,
    );
    expect(registry.seen(/token/).length).toBe(1);
    expect(failure.message).not.toContain(robot.password);
  });

  test('a realm that belongs to somebody else gets nothing', async () => {
    const thief = await scriptedRegistry();
    const registry = await scriptedRegistry();
    withTokens(registry, { realm: `http://localhost:${new URL(thief.url).port}/token` });
    const failure = await failureOf(
      registryClient(registry.url, { credentials: robot }).tagList('shop/web', { signal }),
    );
    expect(failure).toMatchObject({ issue: 'unauthorized', isPermanent: true });
    expect(failure.message).toContain('it belongs to somebody else; no credentials were sent');
    expect(thief.requests).toEqual([]);
  });

  test('what a valid token does not allow is permanent', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({ when: /^PUT/, answer: (response) => refuse(response, 403, 'DENIED') });
    const client = registryClient(registry.url);
    const put = client.manifestPut('shop/web', 'v1', {
      mediaType: image.mediaType,
      bytes: Buffer.from(JSON.stringify(image)),
      signal,
    });
    expect(await failureOf(put)).toMatchObject({
      issue: 'unauthorized',
      isPermanent: true,
      status: 403,
      code: 'DENIED',
    });
  });
});

test('a registry with basic authentication gets it after its challenge, on every request', async () => {
  const registry = await scriptedRegistry();
  const basic = `Basic ${Buffer.from('robot:secret').toString('base64')}`;
  registry.authorize = ({ headers }) => (headers.authorization === basic ? undefined : 'Basic realm="registry"');
  await registryClient(registry.url, { credentials: robot }).ping({ signal });
  expect(registry.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, basic]);
  const wrong = registryClient(registry.url, { credentials: { username: 'robot', password: 'wrong' } });
  expect(await failureOf(wrong.ping({ signal }))).toMatchObject({ issue: 'unauthorized', isPermanent: true });
  expect(registry.requests.length).toBe(4);
});
