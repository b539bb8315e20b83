import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { RegistryClient } from '../../activities/drivers/registry.ts';
import { failureOf, registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { digestOf, refuse, type ScriptedRegistry } from '../support/scripted-registry.ts';

const signal = new AbortController().signal;
const layer = randomBytes(300_000);

describe('a blob on its way up', () => {
  function upload(
    client: RegistryClient,
    { content = layer, ...more }: { content?: Buffer; mountFrom?: string[]; signal?: AbortSignal } = {},
  ) {
    return client.blobUpload({
      repository: 'shop/web',
      digest: digestOf(layer),
      size: layer.length,
      open: (offset) => Promise.resolve(inChunks(content.subarray(offset))),
      signal,
      ...more,
    });
  }

  async function* inChunks(bytes: Buffer): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
  }

  function stored(registry: ScriptedRegistry): Buffer | undefined {
    return registry.repository('shop/web').blobs.get(digestOf(layer));
  }

  /** Takes so many bytes of an upload, keeps them, and cuts the connection. */
  function cutUpload(registry: ScriptedRegistry, bytes: number): void {
    registry.rules.push({
      when: /^PUT .*<id>/,
      times: 1,
      answer: async (_response, { path }, body) => {
        const id = path.split('/').at(-1) ?? '';
        const taken: Buffer[] = [];
        for await (const chunk of body) {
          taken.push(chunk);
          if (Buffer.concat(taken).length >= bytes) break;
        }
        registry.uploads.set(id, Buffer.concat(taken).subarray(0, bytes));
        body.socket.destroy();
      },
    });
  }

  test.for([[false], [true]])(
    'is sent in one streamed request to the given location (whole URL with a query: %s)',
    async ([isLocationAbsolute = false]) => {
      const registry = await scriptedRegistry({ isLocationAbsolute });
      await expect(upload(registryClient(registry.url))).resolves.toBe('uploaded');
      expect(stored(registry)?.equals(layer)).toBe(true);
      const query = isLocationAbsolute ? '?state=a/b&digest=' : '?digest=';
      expect(registry.requests.map(({ what }) => what)).toEqual([
        'POST /v2/shop/web/blobs/uploads/',
        `PUT /v2/shop/web/blobs/uploads/<id>${query}${digestOf(layer)}`,
      ]);
      expect(registry.requests[1]?.headers['content-length']).toBe(String(layer.length));
    },
  );

  test('goes on at the last accepted byte when the destination breaks off', async () => {
    const registry = await scriptedRegistry();
    cutUpload(registry, 270_000);
    const opened: number[] = [];
    const client = registryClient(registry.url);
    await client.blobUpload({
      repository: 'shop/web',
      digest: digestOf(layer),
      size: layer.length,
      open: (offset) => {
        opened.push(offset);
        return Promise.resolve(inChunks(layer.subarray(offset)));
      },
      signal,
    });
    expect(opened).toEqual([0, 270_000]);
    expect(stored(registry)?.equals(layer)).toBe(true);
    expect(registry.requests.find(({ method }) => method === 'PATCH')?.headers).toMatchObject({
      'content-range': '270000-299999',
      'content-length': '30000',
    });
  });

  test('starts over when the registry lost the upload', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push(
      { when: /^PUT .*<id>/, times: 1, answer: (_response, _request, body) => void body.socket.destroy() },
      { when: /^GET .*<id>/, times: 1, answer: (response) => refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN') },
    );
    await expect(upload(registryClient(registry.url))).resolves.toBe('uploaded');
    expect(registry.seen(/^POST/).length).toBe(2);
  });

  test('asks again where to go on after a 416', async () => {
    const registry = await scriptedRegistry();
    cutUpload(registry, 100_000);
    registry.rules.push({ when: /^PATCH/, times: 1, answer: (response) => refuse(response, 416, 'RANGE_INVALID') });
    await expect(upload(registryClient(registry.url))).resolves.toBe('uploaded');
    expect(registry.seen(/^GET .*<id>/).length).toBe(2);
    expect(stored(registry)?.equals(layer)).toBe(true);
  });

  test('is sent again once the registry found it damaged', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({
      when: /^PUT/,
      times: 1,
      answer: async (response, { path }, body) => {
        registry.uploads.delete(path.split('/').at(-1) ?? '');
        for await (const chunk of body) void chunk;
        refuse(response, 400, 'DIGEST_INVALID');
      },
    });
    await expect(upload(registryClient(registry.url))).resolves.toBe('uploaded');
  });

  test('leaves no open upload behind when it is refused for good', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({ when: /^PUT/, answer: (response) => refuse(response, 403, 'DENIED') });
    const failure = await failureOf(upload(registryClient(registry.url)));
    expect(failure).toMatchObject({ issue: 'unauthorized', isPermanent: true });
    expect(registry.uploads.size).toBe(0);
  });

  test('leaves no open upload behind when the caller gives up', async () => {
    const registry = await scriptedRegistry();
    const controller = new AbortController();
    registry.rules.push({ when: /^PUT/, answer: () => controller.abort(new Error('the run was canceled')) });
    await expect(upload(registryClient(registry.url), { signal: controller.signal })).rejects.toThrow(
      'the run was canceled',
    );
    expect(registry.uploads.size).toBe(0);
  });

  test('stored under another digest is a failed copy', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({
      when: /^PUT/,
      answer: (response) =>
        void response.writeHead(201, { 'docker-content-digest': digestOf(Buffer.from('other')) }).end(),
    });
    expect(await failureOf(upload(registryClient(registry.url)))).toMatchObject({
      issue: 'verify_failed',
      isPermanent: true,
    });
  });

  test('is mounted from a repository that has it, and nothing is opened or sent', async () => {
    const registry = await scriptedRegistry();
    registry.addBlob('base/debian', layer);
    const client = registryClient(registry.url);
    await expect(upload(client, { mountFrom: ['base/debian'] })).resolves.toBe('mounted');
    expect(registry.requests.map(({ method }) => method)).toEqual(['POST']);
  });

  test('uses the upload that a mount became, after giving back the one before', async () => {
    const registry = await scriptedRegistry();
    await expect(upload(registryClient(registry.url), { mountFrom: ['not/here', 'nor/here'] })).resolves.toBe(
      'uploaded',
    );
    expect(registry.requests.map(({ method }) => method)).toEqual(['POST', 'DELETE', 'POST', 'PUT']);
    expect(registry.uploads.size).toBe(0);
  });

  test('is sent when mounting is forbidden', async () => {
    const registry = await scriptedRegistry();
    registry.rules.push({ when: /^POST .*mount=/, answer: (response) => refuse(response, 403, 'DENIED') });
    await expect(upload(registryClient(registry.url), { mountFrom: ['foreign/base'] })).resolves.toBe('uploaded');
  });

  test('of no bytes is stored too', async () => {
    const registry = await scriptedRegistry();
    const empty = Buffer.alloc(0);
    await registryClient(registry.url).blobPut('shop/web', empty, { digest: digestOf(empty), signal });
    expect(registry.repository('shop/web').blobs.get(digestOf(empty))?.length).toBe(0);
  });

  test('that is there already is not sent again', async () => {
    const registry = await scriptedRegistry();
    registry.addBlob('shop/web', layer);
    await registryClient(registry.url).blobPut('shop/web', layer, { digest: digestOf(layer), signal });
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });
});
