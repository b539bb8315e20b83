import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { deleteSegments, listExpiredSegments } from '../../db/repositories/log.ts';
import { appendLog } from '../support/build-log.ts';
import { createLogWorld, linesOf, numbered } from '../support/log-world.ts';
import type { LogWorld } from '../support/log-world.ts';

let world: LogWorld;
beforeAll(async () => {
  world = await createLogWorld();
});
afterAll(() => world.close());

describe('a page of a log', () => {
  it('holds the lines after the offset, numbered through all segments', async () => {
    const { id, end } = await world.seedBuild(numbered(1, 3), numbered(4, 6));
    const page = await world.api.call('GET', `/v1/builds/${id}/log?offset=2&limit=3`);
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
    expect((await world.api.call('GET', `/v1/builds/${id}/log?offset=6`)).body).toEqual({
      items: [],
      lines: 6,
      ended: true,
      removed: false,
    });
  });

  it('of one architecture keeps the numbers of the whole', async () => {
    const { id } = await world.seedBuild(['common']);
    await appendLog(
      { db: world.api.deps.db, objects: world.objects },
      { buildId: id, texts: ['a1', 'a2'], platform: 'linux/amd64' },
    );
    await appendLog(
      { db: world.api.deps.db, objects: world.objects },
      { buildId: id, texts: ['b1'], platform: 'linux/arm64' },
    );
    const page = await world.api.call('GET', `/v1/builds/${id}/log?platform=linux/arm64`);
    expect(page.body?.['items']).toMatchObject([{ line: 4, text: 'b1', platform: 'linux/arm64' }]);
    expect(linesOf(await world.api.call('GET', `/v1/builds/${id}/log?platform=linux/amd64&offset=2`))).toEqual([3]);
  });

  it('with `tail` holds the last lines', async () => {
    const { id } = await world.seedBuild(numbered(1, 30), numbered(31, 60));
    expect(linesOf(await world.api.call('GET', `/v1/builds/${id}/log?tail=3`))).toEqual([58, 59, 60]);
    expect(linesOf(await world.api.call('GET', `/v1/builds/${id}/log?tail=5000`))).toHaveLength(60);
  });

  it('reaches over more segments than one query reads', async () => {
    const { id } = await world.seedBuild(...numbered(1, 60).map((text) => [text]));
    expect(linesOf(await world.api.call('GET', `/v1/builds/${id}/log?limit=5000`))).toEqual(
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
  });

  it.each([
    'limit=0',
    'limit=5001',
    'tail=0',
    'tail=5001',
    'tail=x',
    'offset=-1',
    'offset=x',
    'platform=linux/riscv64',
    'page=2',
  ])('refuses %s', async (query) => {
    const { id } = await world.seedBuild();
    expect(await world.api.call('GET', `/v1/builds/${id}/log?${query}`)).toMatchObject({
      status: 422,
      body: { code: 'request.invalid' },
    });
  });

  it('of a build nobody knows is 404, without a login 401', async () => {
    const paths = ['log', 'log/raw', 'log/search?q=x', 'log/steps', 'log/ranges?platform=linux/amd64', 'log/stream'];
    for (const path of paths) {
      expect(await world.api.call('GET', `/v1/builds/none/${path}`)).toMatchObject({
        status: 404,
        body: { code: 'build.not_found' },
      });
      expect(await world.api.call('GET', `/v1/builds/none/${path}`, { isLoggedIn: false })).toMatchObject({
        status: 401,
      });
    }
  });
});

describe('a search in a log', () => {
  it('finds lines whatever their case, in order, and goes on after an offset', async () => {
    const { id } = await world.seedBuild(['ok', 'ERROR one'], ['Error two', 'fine', 'terror']);
    expect(linesOf(await world.api.call('GET', `/v1/builds/${id}/log/search?q=error`))).toEqual([2, 3, 5]);
    expect(linesOf(await world.api.call('GET', `/v1/builds/${id}/log/search?q=error&offset=2&limit=1`))).toEqual([3]);
    expect(linesOf(await world.api.call('GET', `/v1/builds/${id}/log/search?q=.%2B`))).toEqual([]);
  });
});

describe('a search that asks for more than a text', () => {
  it('reads what a reader sees: words with colours in them, quotes, and nothing of how a line is stored', async () => {
    const { id } = await world.seedBuild(
      ['\u001b[31mERR\u001b[0mOR: x', 'say "hi" to GRÜN', 'path C:\\new'],
      ['plain'],
    );
    const found = async (q: string) =>
      linesOf(await world.api.call('GET', `/v1/builds/${id}/log/search?q=${encodeURIComponent(q)}`));
    expect(await found('error: x')).toEqual([1]);
    expect(await found('say "hi"')).toEqual([2]);
    expect(await found('grün')).toEqual([2]);
    expect(await found('c:\\NEW')).toEqual([3]);
    for (const q of ['platform', '[31m', 'u001b', '2026-11-21']) expect(await found(q)).toEqual([]);
  });

  it('answers errors alone, also those with a text', async () => {
    const { id } = await world.seedBuild(
      ['ok', '#3 ERROR: one', 'no error: fine'],
      ['\u001b[31merror:\u001b[0m two', 'ERRORS=0'],
    );
    const path = `/v1/builds/${id}/log/search`;
    expect(linesOf(await world.api.call('GET', `${path}?only=errors`))).toEqual([2, 4]);
    expect(linesOf(await world.api.call('GET', `${path}?only=errors&q=TWO`))).toEqual([4]);
    expect(await world.api.call('GET', path)).toMatchObject({ status: 422, body: { errors: [{ pointer: '?q' }] } });
  });

  it('says where it stopped', async () => {
    const { id } = await world.seedBuild(['a', 'b', 'a'], ['a']);
    const page = await world.api.call('GET', `/v1/builds/${id}/log/search?q=a&limit=2`);
    expect([linesOf(page), page.body?.['nextOffset']]).toEqual([[1, 3], 3]);
    const last = await world.api.call('GET', `/v1/builds/${id}/log/search?q=a&limit=2&offset=3`);
    expect([linesOf(last), last.body?.['nextOffset']]).toEqual([[4], null]);
  });
});

describe('the steps of a log', () => {
  it('are listed with their lines and durations; a second attempt is a step of its own, and nothing runs after the end', async () => {
    const { id, end } = await world.seedBuild(['about the build']);
    const time = '2026-11-21T12:00:00.000Z';
    const add = (texts: readonly string[], marks: Parameters<typeof appendLog>[1]['marks']) =>
      appendLog(
        { db: world.api.deps.db, objects: world.objects },
        { buildId: id, platform: 'linux/amd64', texts, marks: marks ?? [] },
      );
    await add(
      ['#1 [1/2] RUN a', '#1 CACHED', '#2 [2/2] RUN b'],
      [
        { kind: 'step', step: 1, name: '[1/2] RUN a', at: 0, time },
        { kind: 'end', step: 1, state: 'cached', durationMs: 0, at: 1, time },
        { kind: 'step', step: 2, name: '[2/2] RUN b', at: 2, time },
      ],
    );
    await add(
      ['#2 ERROR: no', '#1 again'],
      [
        { kind: 'end', step: 2, state: 'failed', durationMs: 1_200, at: 0, time },
        { kind: 'step', step: 1, name: '[1/2] RUN a', at: 1, time },
      ],
    );
    const first = { platform: 'linux/amd64', number: 1, name: '[1/2] RUN a', startedAt: time };
    const failed = { state: 'failed', line: 4, endLine: 5, durationMs: 1_200 };
    const steps = async () => (await world.api.call('GET', `/v1/builds/${id}/log/steps`)).body?.['items'];
    expect(await steps()).toEqual([
      { ...first, state: 'cached', line: 2, endLine: 3, durationMs: 0 },
      { ...first, number: 2, name: '[2/2] RUN b', ...failed },
      { ...first, state: 'running', line: 6, endLine: null, durationMs: null },
    ]);
    await end();
    expect(await steps()).toMatchObject([{ state: 'cached' }, { state: 'failed' }, { state: 'canceled' }]);
  });

  it('one architecture’s lines are told as ranges, neighbours as one', async () => {
    const { id } = await world.seedBuild(['common']);
    const add = (platform: 'linux/amd64' | 'linux/arm64', texts: readonly string[]) =>
      appendLog({ db: world.api.deps.db, objects: world.objects }, { buildId: id, platform, texts });
    await add('linux/amd64', ['a', 'a']);
    await add('linux/amd64', ['a']);
    await add('linux/arm64', ['b', 'b']);
    await add('linux/amd64', ['a']);
    const ranges = await world.api.call('GET', `/v1/builds/${id}/log/ranges?platform=linux/amd64`);
    expect(ranges.body).toMatchObject({
      items: [
        { line: 2, lines: 3 },
        { line: 7, lines: 1 },
      ],
      lines: 7,
    });
  });
});

describe('a log whose time is over', () => {
  it('is removed piece by piece, then says so everywhere, and its counts stay', async () => {
    const { id, end } = await world.seedBuild(['one'], ['two']);
    const expired = () =>
      listExpiredSegments(world.api.deps.db, { endedBefore: new Date(Date.now() + 60_000), limit: 1 });
    const at = new Date('2026-11-21T12:00:00Z');
    await end();
    await world.api.deps.db.updateTable('build').set({ ended_at: at }).where('id', '=', id).execute();
    const [first] = await expired();
    expect(first).toMatchObject({ build_id: id, first_line: 1 });
    await deleteSegments(world.api.deps.db, { segments: await expired(), at });
    expect((await world.api.call('GET', `/v1/builds/${id}/log`)).body).toMatchObject({ removed: false });
    await deleteSegments(world.api.deps.db, { segments: await expired(), at });
    expect((await world.api.call('GET', `/v1/builds/${id}/log`)).body).toEqual({
      items: [],
      lines: 2,
      ended: true,
      removed: true,
    });
    expect(await (await world.open(`/v1/builds/${id}/log/raw`)).text()).toBe('');
    expect(await (await world.open(`/v1/builds/${id}/log/stream`)).text()).toContain('event: end');
  });
});

describe('the raw log', () => {
  it('begins with the piece that holds the first byte asked for', async () => {
    const { id } = await world.seedBuild(['abc'], ['grün', 'x'], ['last']);
    const get = vi.spyOn(world.objects, 'objectGetBytes');
    const response = await world.open(`/v1/builds/${id}/log/raw?disposition=inline`, { range: 'bytes=-6' });
    expect(await response.text()).toBe('\nlast\n');
    expect(get).toHaveBeenCalledTimes(2);
    expect(response.headers.get('content-disposition')).toMatch(/^inline/);
    get.mockRestore();
  });

  it('is the text of every line with its exact length', async () => {
    const { id } = await world.seedBuild(['grün', 'two'], ['three']);
    const response = await world.open(`/v1/builds/${id}/log/raw`);
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
    const { id } = await world.seedBuild(['abcdefghijk']);
    const response = await world.open(`/v1/builds/${id}/log/raw`, { range });
    expect([response.status, response.headers.get('content-range')]).toEqual([status, contentRange]);
    expect(await response.text()).toBe(text);
  });

  it('refuses a range behind its end', async () => {
    const { id } = await world.seedBuild(['abc']);
    expect(await world.api.call('GET', `/v1/builds/${id}/log/raw`, { headers: { range: 'bytes=4-' } })).toMatchObject({
      status: 416,
      body: { code: 'request.range_not_satisfiable' },
    });
  });
});
