import { describe, expect, test } from 'vitest';
import { manifestMediaTypes } from '../../domain/image-manifest.ts';
import { failureOf, registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { digestOf, refuse } from '../support/scripted-registry.ts';

const signal = new AbortController().signal;
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(Buffer.from('{}')), size: 2 };
const image = { schemaVersion: 2, mediaType: manifestMediaTypes.ociManifest, config, layers: [] };

describe('a manifest', () => {
  test('is read with its media type and the digest of its bytes', async () => {
    const registry = await scriptedRegistry();
    const stored = registry.addManifest('shop/web', image, 'v1');
    const client = registryClient(registry.url);
    const read = await client.manifestGet('shop/web', 'v1', { signal });
    expect(read).toEqual({
      mediaType: image.mediaType,
      digest: stored.digest,
      bytes: Buffer.from(JSON.stringify(image)),
    });
    await expect(client.manifestHead('shop/web', 'v1', { signal })).resolves.toEqual(stored);
    await expect(client.manifestHead('shop/web', 'v2', { signal })).resolves.toBeUndefined();
    expect(await failureOf(client.manifestGet('shop/web', 'v2', { signal }))).toMatchObject({
      status: 404,
      isPermanent: true,
    });
  });

  test('of another digest than asked for is refused, whatever the header says', async () => {
    const registry = await scriptedRegistry();
    const { digest } = registry.addManifest('shop/web', image);
    registry.rules.push({
      when: /manifests/,
      answer: (response) => {
        response
          .writeHead(200, { 'content-type': image.mediaType, 'docker-content-digest': digest })
          .end('{"schemaVersion":2}');
      },
    });
    const failure = await failureOf(registryClient(registry.url).manifestGet('shop/web', digest, { signal }));
    expect(failure).toMatchObject({ issue: 'verify_failed', isPermanent: true });
  });

  test('that never ends is cut at 4 MiB', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({
      when: /manifests/,
      answer: (response) =>
        void response.writeHead(200, { 'content-type': image.mediaType }).end(Buffer.alloc(4 * 1024 * 1024 + 1, ' ')),
    });
    const failure = await failureOf(registryClient(registry.url).manifestGet('shop/web', 'v1', { signal }));
    expect(failure).toMatchObject({ issue: 'data_length_exceeded', isPermanent: true });
  });

  test('of schema 1 is refused as a format', async () => {
    const registry = await scriptedRegistry();
    registry.addManifest('shop/web', { mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws' }, 'old');
    const failure = await failureOf(registryClient(registry.url).manifestGet('shop/web', 'old', { signal }));
    expect(failure).toMatchObject({ issue: 'unsupported_format', isPermanent: true });
  });

  test('whose head leaves out the digest is read whole', async () => {
    const registry = await scriptedRegistry();
    const stored = registry.addManifest('shop/web', image, 'v1');
    registry.rules.push({ when: /^HEAD/, answer: (response) => void response.writeHead(200).end() });
    await expect(registryClient(registry.url).manifestHead('shop/web', 'v1', { signal })).resolves.toEqual(stored);
  });

  test('stored under another digest than its own is a failed write', async () => {
    const registry = await scriptedRegistry();
    const other = digestOf(Buffer.from('other'));
    registry.rules.push({
      when: /^PUT/,
      answer: (response) => void response.writeHead(201, { 'docker-content-digest': other }).end(),
    });
    const put = registryClient(registry.url).manifestPut('shop/web', 'v1', {
      mediaType: image.mediaType,
      bytes: Buffer.from('{}'),
      signal,
    });
    expect(await failureOf(put)).toMatchObject({ issue: 'verify_failed' });
  });

  test('and a tag are deleted, and deleting them again is fine', async () => {
    const registry = await scriptedRegistry();
    const { digest } = registry.addManifest('shop/web', image, 'v1', 'v2');
    const client = registryClient(registry.url);
    await client.tagDelete('shop/web', 'v2', { signal });
    await client.tagDelete('shop/web', 'v2', { signal });
    await expect(client.tagList('shop/web', { signal })).resolves.toEqual(['v1']);
    await client.manifestDelete('shop/web', digest, { signal });
    await expect(client.manifestDelete('shop/web', digest, { signal })).resolves.toBeUndefined();
  });
});

describe('lists', () => {
  test('follow relative and whole next pages on their own origin', async () => {
    const registry = await scriptedRegistry();
    const page = (tags: string[], link?: string) => ({
      times: 1,
      answer: (response: import('node:http').ServerResponse) =>
        void response.writeHead(200, link === undefined ? {} : { link }).end(JSON.stringify({ tags })),
    });
    registry.rules.push(
      { when: /tags\/list\?n=1000$/, ...page(['a'], '</v2/shop/web/tags/list?n=1000&last=a>; rel="next"') },
      { when: /last=a$/, ...page(['b'], `<${registry.url}/v2/shop/web/tags/list?n=1000&last=b>; rel=next`) },
      { when: /last=b$/, ...page(['c']) },
    );
    await expect(registryClient(registry.url).tagList('shop/web', { signal })).resolves.toEqual(['a', 'b', 'c']);
  });

  test('that lead to another origin are not followed', async () => {
    const thief = await scriptedRegistry();
    const registry = await scriptedRegistry();
    registry.rules.push({
      when: /tags\/list/,
      answer: (response) =>
        void response.writeHead(200, { link: `<${thief.url}/v2/x/tags/list>; rel="next"` }).end('{"tags":[]}'),
    });
    const failure = await failureOf(registryClient(registry.url).tagList('shop/web', { signal }));
    expect(failure.message).toContain('names a next page that is not its own');
    expect(thief.requests).toEqual([]);
  });

  test('of nothing are empty: null, and a repository that is not there', async () => {
    const registry = await scriptedRegistry();
    registry.addManifest('shop/web', image);
    const client = registryClient(registry.url);
    await expect(client.tagList('shop/web', { signal })).resolves.toEqual([]);
    await expect(client.tagList('none', { signal })).resolves.toEqual([]);
  });

  test('past 10,000 tags are given up', async () => {
    const registry = await scriptedRegistry();
    const tags = Array.from({ length: 10_001 }, (_, index) => `v${index}`);
    registry.rules.push({ when: /tags\/list/, answer: (response) => void response.end(JSON.stringify({ tags })) });
    const failure = await failureOf(registryClient(registry.url).tagList('shop/web', { signal }));
    expect(failure).toMatchObject({ issue: 'data_length_exceeded' });
  });
});

describe('a registry in trouble', () => {
  test('is tried again after 429 and 5xx, and the caller hears of it', async () => {
    const registry = await scriptedRegistry();
    registry.addManifest('shop/web', image, 'v1');
    registry.rules.push(
      {
        when: /^GET/,
        times: 1,
        answer: (response) => refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '0' }),
      },
      { when: /^GET/, times: 1, answer: (response) => refuse(response, 503, 'UNAVAILABLE') },
      { when: /^GET/, times: 1, answer: (response) => void response.destroy() },
    );
    const heard: unknown[] = [];
    await registryClient(registry.url).manifestGet('shop/web', 'v1', {
      signal,
      onRetry: ({ status }) => heard.push(status),
    });
    expect(heard).toEqual([429, 503, undefined]);
  });

  test('that asks for a long pause is left to the caller, with the pause', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({
      when: /^GET/,
      answer: (response) => refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '120' }),
    });
    const failure = await failureOf(registryClient(registry.url).tagList('shop/web', { signal }));
    expect(failure).toMatchObject({ issue: 'network_error', isPermanent: false, retryAfterMs: 120_000 });
    expect(registry.requests.length).toBe(1);
  });

  test('that stays in trouble is a network error that says what was asked', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({ when: /^GET/, answer: (response) => refuse(response, 502, 'BAD GATEWAY') });
    const failure = await failureOf(registryClient(registry.url).manifestGet('shop/web', 'v1', { signal }));
    expect(failure).toMatchObject({ issue: 'network_error', isPermanent: false, status: 502 });
    expect(failure.message).toBe(
      `GET ${registry.host}/v2/shop/web/manifests/v1 was answered 502 (BAD GATEWAY: the registry says BAD GATEWAY).`,
    );
    expect(registry.requests.length).toBe(4);
  });

  test('that does not answer is given up in time', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({ when: /^GET/, answer: () => undefined });
    const client = registryClient(registry.url, {
      limits: { requestTimeoutMs: 20, retry: { attempts: 2, baseMs: 1, maxMs: 1, longestWaitMs: 1 } },
    });
    expect(await failureOf(client.ping({ signal }))).toMatchObject({ issue: 'network_error', isPermanent: false });
    expect(registry.requests.length).toBe(2);
  });

  test.for<[number, string, string, string]>([
    [507, 'X', 'destination_quota', 'insufficient storage'],
    [403, 'DENIED: quota', 'destination_quota', 'a quota told by its message'],
    [409, 'CONFLICT', 'tag_conflict', 'a conflict'],
    [400, 'TAG_IMMUTABLE', 'tag_conflict', 'an immutable tag'],
    [413, 'SIZE_INVALID', 'data_length_exceeded', 'too large a body'],
    [400, 'MANIFEST_INVALID', 'unsupported_format', 'a manifest it cannot read'],
    [418, 'TEAPOT', 'internal_error', 'anything else'],
  ])('%i %s is %s: %s', async ([status, code, issue]) => {
    const registry = await scriptedRegistry();
    registry.rules.push({ when: /^PUT/, answer: (response) => refuse(response, status, code) });
    const put = registryClient(registry.url).manifestPut('shop/web', 'v1', {
      mediaType: image.mediaType,
      bytes: Buffer.from('{}'),
      signal,
    });
    expect(await failureOf(put)).toMatchObject({ issue, isPermanent: true, status });
    expect(registry.requests.length).toBe(1);
  });

  test('a caller who gives up is told his own reason', async () => {
    const controller = new AbortController();
    const registry = await scriptedRegistry();
    registry.rules.push({ when: /^GET/, answer: () => controller.abort(new Error('the run was canceled')) });
    await expect(registryClient(registry.url).ping({ signal: controller.signal })).rejects.toThrow(
      'the run was canceled',
    );
  });
});

test('an address that is not https is refused unless the registry is marked insecure', () => {
  expect(() => registryClient('http://registry.example.com', { endpoint: { isInsecure: false } })).toThrow(
    'it must be https',
  );
  expect(() => registryClient('https://registry.example.com/path')).toThrow('without user name, path or query');
});
