import { describe, expect, test } from 'vitest';
import { formatLogSegment, parseLogSegment, type StoredLogLine } from '../../domain/log-line.ts';

const line: StoredLogLine = {
  time: '2026-11-21T10:00:00.000Z',
  stage: 'build',
  platform: 'linux/arm/v7',
  text: 'a "quoted"\ttext with a new\nline in it',
};

describe('the stored form of a log', () => {
  test('lines come back as they went in, numbered from where their segment starts', () => {
    const content = formatLogSegment([line, { ...line, stage: 'clone', platform: null }]);
    expect(content.split('\n')).toHaveLength(3);
    expect(parseLogSegment(content, 41)).toEqual([
      { line: 41, ...line },
      { line: 42, ...line, stage: 'clone', platform: null },
    ]);
  });

  test('an object that is no log of ours is refused', () => {
    expect(() => parseLogSegment('{"text":"x"}\n', 1)).toThrow(/stage/);
    expect(() => parseLogSegment('not json', 1)).toThrow(/JSON/);
  });
});
