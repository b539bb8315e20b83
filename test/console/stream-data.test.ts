import { expect, test } from 'vitest';
import { parseLogLines, parseStateEvent } from '../../console/src/stream-data.ts';
import { fixtureLog } from '../support/console-fixture-data.ts';

test('a state event names a run; anything else is passed over', () => {
  expect(parseStateEvent('{"topic":"run:1","type":"step.success","id":"1","version":4}')).toEqual({
    topic: 'run:1',
    type: 'step.success',
    id: '1',
    version: 4,
  });
  for (const data of ['', 'x', '{}', '[]', '{"type":"bye"}', 'null']) expect(parseStateEvent(data)).toBeUndefined();
});

test('a stream event may hold one line, many, or something else', () => {
  const [line] = fixtureLog('build-1', 1);
  expect(parseLogLines(JSON.stringify(line))).toEqual([line]);
  expect(parseLogLines(JSON.stringify([line]))).toEqual([line]);
  expect(parseLogLines(JSON.stringify({ items: [line] }))).toEqual([line]);
  expect(parseLogLines('not json')).toEqual([]);
});
