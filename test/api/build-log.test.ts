import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createListener } from '../../db/listener.ts';
import type { Listener } from '../../db/listener.ts';
import { logChannel } from '../../db/repositories/build-log.ts';
import { recordRunEvent, runChannel } from '../../db/repositories/record.ts';
import { adminToken } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { appendLog } from '../support/build-log.ts';
import { nextEvent, readEvents } from '../support/event-stream.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import { createMemoryObjects } from '../support/memory-objects.ts';
import type { MemoryObjects } from '../support/memory-objects.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

let api: Awaited<ReturnType<typeof createInboxWorld>>;
let listener: Listener;
const stopping = new AbortController();
const objects: MemoryObjects = createMemoryObjects();
beforeAll(async () => {
  api = await createInboxWorld({
    objectStore: objects,
    stopping: stopping.signal,
    listener: { on: (channel, handler) => listener.on(channel, handler) },
  });
  listener = createListener({ url: api.database.url, channels: [logChannel, runChannel], onError: () => {} });
  await listener.start();
});
afterAll(async () => {
  await listener.stop();
  await api.close();
});

/** A build that goes on, with these lines in its log. */
async function seedBuild(...segments: (readonly string[])[]) {
  const repository = await seedRepository(api.deps.db, api.deps.secretBox);
  await seedBuildRule(api.deps.db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'x' }],
  });
  await api.push(repository, {});
  const [run] = await api.runsOf(repository);
  const [id, runId] = [run?.build_id ?? '', run?.id ?? ''];
  for (const texts of segments) await append(id, texts);
  const end = async () => {
    await api.deps.db
      .updateTable('build')
      .set({ status: 'success', ended_at: new Date() })
      .where('id', '=', id)
      .execute();
    await api.deps.db
      .transaction()
      .execute((trx) => recordRunEvent(trx, { runId, type: 'run.success', data: null, at: new Date() }));
  };
  return { id, end };
}

const append = (buildId: string, texts: readonly string[]) =>
  appendLog({ db: api.deps.db, objects }, { buildId, texts });
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);
const linesOf = (body: TestBody) =>
  Array.isArray(body?.['items']) ? body['items'].map((item: { line: number }) => item.line) : [];
type TestBody = Awaited<ReturnType<TestApi['call']>>['body'];

const openStream = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  api.app.request(path, { headers: { authorization: `Bearer ${adminToken}`, ...headers } });

describe('a page of a log', () => {
  it('holds the lines after the offset, numbered through all segments', async () => {
    const { id, end } = await seedBuild(numbered(1, 3), numbered(4, 6));
    const page = await api.call('GET', `/v1/builds/${id}/log?offset=2&limit=3`);
    expect(page.body).toMatchObject({
      items: [
        { line: 3, text: 'line 3', stage: 'build', platform: null },
        { line: 4, text: 'line 4' },
        { line: 5, text: 'line 5' },
      ],
      lines: 6,
      ended: false,
    });
    await end();
    expect((await api.call('GET', `/v1/builds/${id}/log?offset=6`)).body).toEqual({ items: [], lines: 6, ended: true });
  });

  it('of one architecture keeps the numbers of the whole', async () => {
    const { id } = await seedBuild(['common']);
    await appendLog({ db: api.deps.db, objects }, { buildId: id, texts: ['a1', 'a2'], platform: 'linux/amd64' });
    await appendLog({ db: api.deps.db, objects }, { buildId: id, texts: ['b1'], platform: 'linux/arm64' });
    const page = await api.call('GET', `/v1/builds/${id}/log?platform=linux/arm64`);
    expect(page.body?.['items']).toMatchObject([{ line: 4, text: 'b1', platform: 'linux/arm64' }]);
    expect(linesOf((await api.call('GET', `/v1/builds/${id}/log?platform=linux/amd64&offset=2`)).body)).toEqual([3]);
  });

  it('reaches over more segments than one query reads', async () => {
    const { id } = await seedBuild(...numbered(1, 60).map((text) => [text]));
    expect(linesOf((await api.call('GET', `/v1/builds/${id}/log?limit=5000`)).body)).toEqual(
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
  });

  it.each(['limit=0', 'limit=5001', 'offset=-1', 'offset=x', 'platform=linux/riscv64', 'page=2'])(
    'refuses %s',
    async (query) => {
      const { id } = await seedBuild();
      expect(await api.call('GET', `/v1/builds/${id}/log?${query}`)).toMatchObject({
        status: 422,
        body: { code: 'request.invalid' },
      });
    },
  );

  it('of a build nobody knows is 404, without a login 401', async () => {
    for (const path of ['log', 'log/raw', 'log/search?q=x', 'log/stream']) {
      expect(await api.call('GET', `/v1/builds/none/${path}`)).toMatchObject({
        status: 404,
        body: { code: 'build.not_found' },
      });
      expect(await api.call('GET', `/v1/builds/none/${path}`, { isLoggedIn: false })).toMatchObject({ status: 401 });
    }
  });
});

describe('a search in a log', () => {
  it('finds lines whatever their case, in order, and goes on after an offset', async () => {
    const { id } = await seedBuild(['ok', 'ERROR one'], ['Error two', 'fine', 'terror']);
    expect(linesOf((await api.call('GET', `/v1/builds/${id}/log/search?q=error`)).body)).toEqual([2, 3, 5]);
    expect(linesOf((await api.call('GET', `/v1/builds/${id}/log/search?q=error&offset=2&limit=1`)).body)).toEqual([3]);
    expect(linesOf((await api.call('GET', `/v1/builds/${id}/log/search?q=.%2B`)).body)).toEqual([]);
  });
});

describe('the raw log', () => {
  it('is the text of every line with its exact length', async () => {
    const { id } = await seedBuild(['grün', 'two'], ['three']);
    const response = await openStream(`/v1/builds/${id}/log/raw`);
    expect(response.headers.get('content-length')).toBe(String(Buffer.byteLength('grün\ntwo\nthree\n')));
    expect(await response.text()).toBe('grün\ntwo\nthree\n');
  });

  it.each([
    ['bytes=2-6', 206, 'cdefg', 'bytes 2-6/12'],
    ['bytes=8-', 206, 'ijk\n', 'bytes 8-11/12'],
    ['bytes=-2', 206, 'k\n', 'bytes 10-11/12'],
    ['bytes=10-99', 206, 'k\n', 'bytes 10-11/12'],
    ['lines=1-2', 200, 'abcdefghijk\n', null],
  ])('answers the range %s', async (range, status, text, contentRange) => {
    const { id } = await seedBuild(['abcdefghijk']);
    const response = await openStream(`/v1/builds/${id}/log/raw`, { range });
    expect([response.status, response.headers.get('content-range')]).toEqual([status, contentRange]);
    expect(await response.text()).toBe(text);
  });

  it('refuses a range behind its end', async () => {
    const { id } = await seedBuild(['abc']);
    expect(await api.call('GET', `/v1/builds/${id}/log/raw`, { headers: { range: 'bytes=4-' } })).toMatchObject({
      status: 416,
      body: { code: 'request.range_not_satisfiable' },
    });
  });
});

describe('the live log', () => {
  it('sends what is stored, then what comes, then the end', async () => {
    const { id, end } = await seedBuild(numbered(1, 2));
    const response = await openStream(`/v1/builds/${id}/log/stream`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const events = readEvents(response);
    expect(await nextEvent(events)).toMatchObject({ id: '2', event: 'message' });
    await append(id, numbered(3, 4));
    const live = await nextEvent(events);
    expect(live.id).toBe('4');
    expect(JSON.parse(live.data)).toMatchObject({ items: [{ line: 3 }, { line: 4 }] });
    await end();
    expect(await nextEvent(events)).toEqual({ id: null, event: 'end', data: '{"status":"success","lines":4}' });
    expect((await events.next()).done).toBe(true);
  });

  it.each([
    ['the header Last-Event-ID', '', { 'last-event-id': '3' }],
    ['the query', '?after=3', {}],
    ['the header before the query', '?after=1', { 'last-event-id': '3' }],
  ])('resumes exactly by %s', async (_, query, headers) => {
    const { id, end } = await seedBuild(numbered(1, 2), numbered(3, 5));
    await end();
    const texts = await (await openStream(`/v1/builds/${id}/log/stream${query}`, headers)).text();
    expect([...texts.matchAll(/"line":(\d+)/g)].map((match) => Number(match[1]))).toEqual([4, 5]);
  });

  it('cuts a long backlog into events of at most 64 KiB, none lost or doubled', async () => {
    const { id, end } = await seedBuild(
      Array.from({ length: 500 }, (_, index) => `${index} ${'x'.repeat(1_000)}`),
      numbered(501, 510),
    );
    await end();
    const seen: number[] = [];
    for await (const event of readEvents(await openStream(`/v1/builds/${id}/log/stream`))) {
      expect(event.data.length).toBeLessThan(80 * 1024);
      seen.push(...[...event.data.matchAll(/"line":(\d+)/g)].map((match) => Number(match[1])));
    }
    expect(seen).toEqual(Array.from({ length: 510 }, (_, index) => index + 1));
  });

  it('says bye when the process stops', async () => {
    const { id } = await seedBuild(numbered(1, 1));
    const events = readEvents(await openStream(`/v1/builds/${id}/log/stream`));
    await nextEvent(events);
    stopping.abort();
    expect(await nextEvent(events)).toMatchObject({ event: 'bye' });
    expect((await events.next()).done).toBe(true);
  });
});
