import { expect, test, vi } from 'vitest';
import { LogStore } from '../../console/src/log-store.ts';
import type { LogListener, LogSource } from '../../console/src/log-store.ts';
import { fixtureLog } from '../support/console-fixture-data.ts';

function sourceOf(lines: number, ended: boolean) {
  const log = fixtureLog('build-1', lines);
  const listeners: LogListener[] = [];
  const closed = vi.fn<() => void>();
  const stream = vi.fn<LogSource['stream']>((_after, listener) => {
    listeners.push(listener);
    return closed;
  });
  const page = vi.fn<LogSource['page']>((range) => {
    const items = 'tail' in range ? log.slice(-range.tail) : log.slice(range.offset, range.offset + range.limit);
    return Promise.resolve({ items, lines: log.length, ended, removed: false });
  });
  const ranges = vi.fn<LogSource['ranges']>((view) => {
    const wanted = log.filter(({ platform }) => view.kind !== 'platform' || platform === view.platform);
    return Promise.resolve(wanted.map(({ line }) => ({ line, lines: 1 })));
  });
  return { log, page, ranges, stream, closed, listener: () => listeners[0] };
}

test('an ended log begins at its end, is fetched chunk by chunk as it comes into view, each once, and not streamed', async () => {
  const source = sourceOf(3_412, true);
  const store = new LogStore(source);
  await store.start();
  expect([store.status, store.lines, store.row(3_411)?.line, store.row(0)]).toEqual(['ended', 3_412, 3_412, undefined]);

  store.want(1_990, 2_050);
  await vi.waitFor(() => expect(store.row(1_990)?.line).toBe(1_991));
  await vi.waitFor(() => expect(store.row(2_049)?.line).toBe(2_050));
  store.want(1_990, 2_050);
  store.want(3_300, 3_412);
  expect(source.page.mock.calls.map(([range]) => range)).toEqual([
    { tail: 1_000 },
    { offset: 1_000, limit: 1_000 },
    { offset: 2_000, limit: 1_000 },
  ]);
  expect(source.stream).not.toHaveBeenCalled();
});

test('a live log is streamed after the last fetched line; a line told twice counts once', async () => {
  const source = sourceOf(40, false);
  const store = new LogStore(source);
  await store.start();
  expect(source.stream.mock.calls[0]?.[0]).toBe(40);

  const added = { line: 41, time: '2026-11-21T13:40:00.000Z', stage: 'build', platform: 'linux/arm64', text: 'new' };
  const [last] = source.log.slice(-1);
  source.listener()?.onLines(last === undefined ? [added] : [last, added]);
  source.listener()?.onLines([added]);
  expect([store.lines, store.row(40)?.text]).toEqual([41, 'new']);

  source.listener()?.onStatus('lost');
  expect(store.status).toBe('lost');
  source.listener()?.onStatus('ended');
  expect([store.status, source.closed.mock.calls.length]).toEqual(['ended', 1]);
});

test('one architecture alone keeps the numbers of the whole log, live lines too', async () => {
  const source = sourceOf(12, false);
  const store = new LogStore(source);
  await store.start();
  await store.choose({ kind: 'platform', platform: 'linux/arm64' });
  expect([store.row(0)?.line, store.row(1)?.line, store.rows]).toEqual([3, 6, 4]);

  const line = { line: 13, time: '2026-11-21T13:40:00.000Z', stage: 'build', platform: 'linux/arm64', text: 'arm' };
  source.listener()?.onLines([line, { ...line, line: 14, platform: 'linux/amd64' }]);
  expect([store.rows, store.row(4)?.line, store.lines]).toEqual([5, 13, 14]);
  expect(store.rowOfLine(12)).toBe(3);
});

test('a part of a long log costs no more than the lines that are looked at', async () => {
  const source = sourceOf(9_000, true);
  const store = new LogStore(source);
  await store.start();
  await store.choose({ kind: 'platform', platform: 'linux/arm64' });
  store.want(0, 30);
  await vi.waitFor(() => expect(store.row(0)?.line).toBe(3));
  expect([store.rows, source.page.mock.calls.length]).toEqual([3_000, 2]);
});

test('lines that arrive while a part is asked for are in it once', async () => {
  const source = sourceOf(3, false);
  const store = new LogStore(source);
  await store.start();
  const error = { line: 4, time: '2026-11-21T13:40:00.000Z', stage: 'build', platform: null, text: 'ERROR: no' };
  source.ranges.mockImplementationOnce(async () => {
    source.listener()?.onLines([error]);
    return [{ line: 4, lines: 1 }];
  });
  await store.choose({ kind: 'errors' });
  expect([store.rows, store.row(0)?.text]).toEqual([1, 'ERROR: no']);
  source.listener()?.onLines([
    { ...error, line: 5 },
    { ...error, line: 6, text: 'fine' },
  ]);
  expect([store.rows, store.lines]).toEqual([2, 6]);
});

test('progress is shown until a line says more', async () => {
  const source = sourceOf(3, false);
  const store = new LogStore(source);
  await store.start();
  source.listener()?.onProgress({ platform: null, step: 4, text: '40 %' });
  expect(store.progress?.text).toBe('40 %');
  source.listener()?.onLines([]);
  expect(store.progress).toBeNull();
});

test('many lines can be read at once, whether they were shown or not', async () => {
  const source = sourceOf(12_000, true);
  const store = new LogStore(source);
  await store.start();
  const lines = await store.read(100, 11_000);
  expect([lines.length, lines[0]?.line, lines.at(-1)?.line]).toEqual([10_901, 100, 11_000]);
});

test('a log that cannot be read says why and can be started again', async () => {
  const source = sourceOf(5, true);
  source.page.mockRejectedValueOnce(new Error('gone'));
  const store = new LogStore(source);
  await store.start();
  expect([store.status, store.problem]).toEqual(['failed', new Error('gone')]);
  await store.start();
  expect([store.status, store.lines]).toEqual(['ended', 5]);
});
