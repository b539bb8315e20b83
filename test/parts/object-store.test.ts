import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createObjectStore, ObjectMissing, type ObjectStore } from '../../activities/drivers/object-store.ts';
import type { StoredObject } from '../../activities/drivers/object-store.ts';
import { objectStorePart } from '../../stack/object-store.ts';
import { freePort } from '../../stack/ports.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { startParts, type TestParts } from '../support/stack-parts.ts';

const login = { accessKeyId: 'slipway', secretAccessKey: randomBytes(16).toString('hex') };
const signal = new AbortController().signal;
let parts: TestParts;
let store: ObjectStore;
let endpoint: string;

beforeAll(async () => {
  const { versitygw } = await resolveTools(['versitygw'], { env: process.env, onProgress: () => undefined, signal });
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  parts = await startParts();
  const folder = join(parts.home, 'objects');
  await parts.start(
    objectStorePart({
      binary: versitygw,
      folder,
      port,
      accessKey: login.accessKeyId,
      secretKey: login.secretAccessKey,
    }),
  );
  store = createObjectStore({ endpoint, region: 'us-east-1', bucket: 'test', ...login });
  await store.bucketEnsure({ signal });
});
afterAll(async () => {
  store.close();
  await parts.stop();
});

async function read(key: string, range?: readonly [number, number]): Promise<string> {
  const bytes = await store.objectGetBytes(key, { signal, ...(range === undefined ? {} : { range }) });
  return Buffer.from(bytes).toString();
}

describe('the object store on a real S3 server', () => {
  test('making the bucket again changes nothing', async () => {
    await store.objectPut('kept', Buffer.from('kept'), { contentType: 'text/plain', signal });
    await store.bucketEnsure({ signal });
    expect(await read('kept')).toBe('kept');
  });

  test('bytes come back as they went in, whole and in part, and a second put replaces them', async () => {
    await store.objectPut('logs/a/1.zst', Buffer.from('first'), { contentType: 'application/zstd', signal });
    await store.objectPut('logs/a/1.zst', Buffer.from('second time'), { contentType: 'application/zstd', signal });
    expect(await read('logs/a/1.zst')).toBe('second time');
    expect(await read('logs/a/1.zst', [0, 5])).toBe('second');
    expect(await store.objectHead('logs/a/1.zst', { signal })).toEqual({ sizeBytes: 11, modifiedAt: expect.any(Date) });
  });

  test('a stream of several parts comes back as it went in', async () => {
    const bytes = randomBytes(20 * 1024 * 1024 + 7);
    const pieces = Array.from({ length: 21 }, (_, index) =>
      bytes.subarray(index * 1024 * 1024, (index + 1) * 1024 * 1024),
    );
    await store.objectPut('src/large', Readable.from(pieces), { contentType: 'application/x-tar', signal });
    expect(bytes.equals(await store.objectGetBytes('src/large', { signal }))).toBe(true);
  });

  test('an empty stream becomes an empty object', async () => {
    await store.objectPut('src/empty', Readable.from([]), { contentType: 'application/x-tar', signal });
    expect(await store.objectHead('src/empty', { signal })).toMatchObject({ sizeBytes: 0 });
  });

  test('a stream that breaks leaves no object', async () => {
    const broken = new Readable({ read() {} });
    broken.push(randomBytes(9 * 1024 * 1024));
    const put = store.objectPut('src/broken', broken, { contentType: 'application/x-tar', signal });
    broken.destroy(new Error('the disk is gone'));
    await expect(put).rejects.toThrow('the disk is gone');
    expect(await store.objectHead('src/broken', { signal })).toBeUndefined();
  });

  test('what is not there is missing by name, and deleting it is fine', async () => {
    await expect(store.objectGetBytes('nothing', { signal })).rejects.toThrow(ObjectMissing);
    expect(await store.objectHead('nothing', { signal })).toBeUndefined();
    await store.objectDelete('nothing', { signal });
    await store.objectPut('gone', Buffer.from('x'), { contentType: 'text/plain', signal });
    await store.objectDelete('gone', { signal });
    expect(await store.objectHead('gone', { signal })).toBeUndefined();
  });

  const list = async (prefix: string) => {
    const objects: StoredObject[] = [];
    for await (const object of store.objectList(prefix, { signal })) objects.push(object);
    return objects;
  };

  test('objects are listed by what their keys begin with, each with its time', async () => {
    const keys = ['list/a', 'list/b', 'other/c'];
    for (const key of keys) await store.objectPut(key, Buffer.from('x'), { contentType: 'text/plain', signal });
    const listed = await list('list/');
    expect(listed.map(({ key }) => key)).toEqual(['list/a', 'list/b']);
    for (const { modifiedAt } of listed) expect(Math.abs(Date.now() - modifiedAt.getTime())).toBeLessThan(60_000);
    expect(await list('none/')).toEqual([]);
  });

  test('an abort ends a call with the reason of the abort', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address() as AddressInfo;
    const slow = createObjectStore({
      endpoint: `http://127.0.0.1:${address.port}`,
      region: 'x',
      bucket: 'test',
      ...login,
    });
    const controller = new AbortController();
    silent.once('request', () => controller.abort(new Error('canceled by ada')));
    await expect(slow.objectGetBytes('a', { signal: controller.signal })).rejects.toThrow('canceled by ada');
    const again = new AbortController();
    silent.once('request', () => again.abort(new Error('canceled again')));
    const stream = Readable.from([randomBytes(1024)]);
    await expect(slow.objectPut('a', stream, { contentType: 'x/y', signal: again.signal })).rejects.toThrow(
      'canceled again',
    );
    slow.close();
    silent.closeAllConnections();
    silent.close();
  });

  test('a wrong key is refused by name', async () => {
    const wrong = createObjectStore({
      endpoint,
      region: 'us-east-1',
      bucket: 'test',
      ...login,
      secretAccessKey: 'wrong',
    });
    await expect(wrong.objectGetBytes('kept', { signal })).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' });
    wrong.close();
  });
});
