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

test('a message of a log stream holds lines; anything else none', () => {
  const items = fixtureLog('build-1', 2);
  expect(parseLogLines(JSON.stringify({ items }))).toEqual(items);
  for (const data of ['not json', '{}', '[]', 'null']) expect(parseLogLines(data)).toEqual([]);
});
