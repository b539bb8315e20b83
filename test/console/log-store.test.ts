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
  const page = vi.fn<LogSource['page']>(({ offset, limit, platform }) => {
    const wanted = log.filter((each) => each.line > offset && (platform === undefined || each.platform === platform));
    return Promise.resolve({ items: wanted.slice(0, limit), lines: log.length, ended });
  });
  return { log, page, stream, closed, listener: () => listeners[0] };
}

test('an ended log is fetched chunk by chunk as it comes into view, each once, and not streamed', async () => {
  const source = sourceOf(3_412, true);
  const store = new LogStore(source);
  await store.start();
  expect([store.status, store.lines, store.row(0)?.line, store.row(3_000)]).toEqual(['ended', 3_412, 1, undefined]);

  store.want(2_990, 3_050);
  await vi.waitFor(() => expect(store.row(3_049)?.line).toBe(3_050));
  store.want(2_990, 3_050);
  expect(source.page.mock.calls.map(([{ offset }]) => offset)).toEqual([0, 2_000, 3_000]);
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
  await store.choosePlatform('linux/arm64');
  expect([store.row(0)?.line, store.row(1)?.line, store.rows]).toEqual([3, 6, 4]);

  const line = { line: 13, time: '2026-11-21T13:40:00.000Z', stage: 'build', platform: 'linux/arm64', text: 'arm' };
  source.listener()?.onLines([line, { ...line, line: 14, platform: 'linux/amd64' }]);
  expect([store.rows, store.row(4)?.line, store.lines]).toEqual([5, 13, 14]);
  expect(store.rowOfLine(12)).toBe(3);
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
