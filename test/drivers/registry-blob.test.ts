import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { failureOf, registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { digestOf, refuse } from '../support/scripted-registry.ts';

const signal = new AbortController().signal;
const layer = randomBytes(300_000);

async function read(chunks: Promise<AsyncIterable<Uint8Array>>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of await chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** Sends `bytes` of the layer and cuts the connection, as a network does. */
function cut(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-length': layer.length });
  response.write(layer.subarray(0, bytes), () => response.socket?.destroy());
}

describe('a blob on its way down', () => {
  test('is read whole and checked against its digest', async () => {
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    const client = registryClient(registry.url);
    expect((await read(client.blobGet('shop/web', blob, { signal }))).equals(layer)).toBe(true);
    await expect(client.blobHead('shop/web', blob.digest, { signal })).resolves.toEqual({ size: layer.length });
    await expect(client.blobHead('shop/web', digestOf(Buffer.from('none')), { signal })).resolves.toBeUndefined();
  });

  test('goes on at the byte where its connection broke at 90 %', async () => {
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    registry.rules.push({ when: /^GET/, times: 1, answer: (response) => cut(response, 270_000) });
    const bytes = await read(registryClient(registry.url).blobGet('shop/web', blob, { signal }));
    expect(bytes.equals(layer)).toBe(true);
    expect(registry.requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=270000-']);
  });

  test('is read from a server that ignores ranges, too', async () => {
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    registry.rules.push(
      { when: /^GET/, times: 1, answer: (response) => cut(response, 100_000) },
      {
        when: /^GET/,
        times: 1,
        answer: (response) => void response.writeHead(200, { 'content-length': layer.length }).end(layer),
      },
    );
    expect((await read(registryClient(registry.url).blobGet('shop/web', blob, { signal }))).equals(layer)).toBe(true);
  });

  test('that breaks without moving is given up after four tries', async () => {
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    registry.rules.push({ when: /^GET/, answer: (response) => void response.socket?.destroy() });
    const failure = await failureOf(read(registryClient(registry.url).blobGet('shop/web', blob, { signal })));
    expect(failure).toMatchObject({ issue: 'network_error', isPermanent: false });
    expect(registry.requests.length).toBe(4);
  });

  test('that stands still is given up after the idle time', async () => {
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    registry.rules.push({
      when: /^GET/,
      answer: (response) =>
        void response.writeHead(200, { 'content-length': layer.length }).write(layer.subarray(0, 10)),
    });
    const client = registryClient(registry.url, {
      limits: { idleTimeoutMs: 50, retry: { attempts: 1, baseMs: 1, maxMs: 1, longestWaitMs: 1 } },
    });
    expect(await failureOf(read(client.blobGet('shop/web', blob, { signal })))).toMatchObject({
      issue: 'network_error',
    });
  });

  test.for<[string, Buffer, string]>([
    ['longer than its descriptor', Buffer.concat([layer, Buffer.from('x')]), 'data_length_exceeded'],
    ['of other bytes', Buffer.from(layer).fill(0, 0, 1).fill(1, 1, 2), 'verify_failed'],
  ])('%s is refused before its last chunk', async ([, sent, issue]) => {
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    registry.rules.push({ when: /^GET/, answer: (response) => void response.end(sent) });
    const failure = await failureOf(read(registryClient(registry.url).blobGet('shop/web', blob, { signal })));
    expect(failure).toMatchObject({ issue, isPermanent: true });
  });

  test('follows a redirect and leaves the credentials behind', async () => {
    const store = await scriptedRegistry();
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    store.rules.push({ when: /^GET \/bucket/, answer: (response) => void response.end(layer) });
    registry.authorize = ({ headers }) => (headers.authorization === undefined ? 'Basic realm="registry"' : undefined);
    registry.rules.push({
      when: /^GET \/v2\/.*blobs/,
      times: 2,
      answer: (response, { headers }) => {
        if (headers.authorization === undefined)
          return refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="r"' });
        response.writeHead(307, { location: `${store.url}/bucket/key?signature=secret` }).end();
      },
    });
    const client = registryClient(registry.url, { credentials: { username: 'robot', password: 'secret' } });
    expect((await read(client.blobGet('shop/web', blob, { signal }))).equals(layer)).toBe(true);
    expect(store.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test('does not follow redirects for ever, nor away from https', async () => {
    const registry = await scriptedRegistry();
    const blob = registry.addBlob('shop/web', layer);
    registry.rules.push({
      when: /./,
      answer: (response, { path }) => void response.writeHead(302, { location: path }).end(),
    });
    const failure = await failureOf(read(registryClient(registry.url).blobGet('shop/web', blob, { signal })));
    expect(failure.message).toContain('was redirected more than 5 times');
  });
});
