import { expect, test } from 'vitest';
import {
  firstLine,
  formatAgo,
  formatBytes,
  formatClock,
  formatDuration,
  formatElapsed,
  formatTime,
  shortCommit,
  shortDigest,
} from '../../console/src/ui/format.ts';

test('a duration shows at most two units', () => {
  const shown = [0, 820, 3_400, 9_960, 42_000, 59_600, 192_000, 3_840_000, 86_400_000 * 2 + 3_600_000 * 3, -5].map(
    formatDuration,
  );
  expect(shown).toEqual([
    '0 ms',
    '820 ms',
    '3.4 s',
    '10 s',
    '42 s',
    '1 m 00 s',
    '3 m 12 s',
    '1 h 04 m',
    '2 d 3 h',
    '0 s',
  ]);
});

test('a ticking duration has no fractions', () => {
  expect([0, 999, 3_400, 61_000].map(formatElapsed)).toEqual(['0 s', '0 s', '3 s', '1 m 01 s']);
});

test('bytes are counted by thousands with three digits at most', () => {
  expect([0, 999, 1_000, 31_442_118, 999_600, 123_456_789_000].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 KB',
    '31.4 MB',
    '1.0 MB',
    '123 GB',
  ]);
});

test('a time names its zone', () => {
  const at = '2026-11-21T16:25:46.000Z';
  expect(formatTime(at, 'utc')).toBe('21 Nov 2026, 16:25:46 UTC');
  expect(formatTime(at, 'utc+8')).toBe('22 Nov 2026, 00:25:46 GMT+8');
  expect(formatClock(at, 'utc+8')).toBe('00:25:46');
});

test('how long ago is told in the largest unit, and not at all under a minute', () => {
  const now = Date.parse('2026-11-21T16:00:00.000Z');
  const ago = (ms: number): string => formatAgo(new Date(now - ms).toISOString(), now);
  expect([5_000, 61_000, 3 * 3_600_000, 49 * 3_600_000, -10_000].map(ago)).toEqual([
    'just now',
    '1 min. ago',
    '3 hr. ago',
    '2 days ago',
    'just now',
  ]);
});

test('digests, commits and messages are cut for lists', () => {
  expect(shortDigest(`sha256:${'ab'.repeat(32)}`)).toBe('sha256:abababababab');
  expect(shortCommit('d4ef3dc3b77a011a5779eec7efdd45a8c0b2f6e1')).toBe('d4ef3dc3');
  expect(firstLine('Fix it\n\nBecause.')).toBe('Fix it');
});
