import { expect, test } from 'vitest';
import { renderLine } from '../../console/src/ui/log-line.ts';

const text = (line: string): string =>
  renderLine(line)
    .map((segment) => segment.text)
    .join('');

test('markup in a log stays text', () => {
  const hostile = '<script>alert("x")</script> & <img src=x onerror=alert(1)> &lt;b&gt;';
  expect(text(hostile)).toBe(hostile);
  expect(text(`\u001B[31m${hostile}\u001B[0m`)).toBe(hostile);
});

test('the sixteen colours come out as our own, bold and underline stay', () => {
  expect(renderLine('a \u001B[1;31mred\u001B[0m b')).toEqual([
    { text: 'a ', style: {}, href: null },
    { text: 'red', style: { color: 'var(--ansi-red, #cc0000)', fontWeight: 600 }, href: null },
    { text: ' b', style: {}, href: null },
  ]);
});

test('a colour that could be illegible is dropped: the 256 table, true colours, hidden text, dim text', () => {
  for (const line of [
    '\u001B[38;5;196mx\u001B[0m',
    '\u001B[38;2;1;2;3mx\u001B[0m',
    '\u001B[48:5:1mx\u001B[0m',
    '\u001B[8mx\u001B[0m',
    '\u001B[2mx\u001B[0m',
  ]) {
    expect(renderLine(line)).toEqual([{ text: 'x', style: {}, href: null }]);
  }
});

test('text on a coloured background gets the colour that is legible on it', () => {
  expect(renderLine('\u001B[41;33mx\u001B[0m')[0]?.style).toEqual({
    backgroundColor: 'var(--ansi-red, #cc0000)',
    color: 'var(--ansi-on-background)',
  });
});

test('cursor moves, OSC sequences, stray escapes and direction overrides disappear, their text stays', () => {
  expect(text('\u001B[2K\u001B[1Gprogress 40%')).toBe('progress 40%');
  expect(text('\u001B]8;;javascript:alert(1)\u0007click\u001B]8;;\u0007 me')).toBe('click me');
  expect(text('\u001B]0;title\u001B\\after')).toBe('after');
  expect(text('before\u001Bafter')).toBe('beforeafter');
  expect(text('end\u001B')).toBe('end');
  expect(text('abc\u202Edcba')).toBe('abcdcba');
});

test('https addresses become links, no others do, and a closing bracket or full stop is not part of one', () => {
  expect(renderLine('see https://docs.example/a?b=1&c=2). then javascript:alert(1) http://plain.example')).toEqual([
    { text: 'see ', style: {}, href: null },
    { text: 'https://docs.example/a?b=1&c=2', style: {}, href: 'https://docs.example/a?b=1&c=2' },
    { text: '). then javascript:alert(1) http://plain.example', style: {}, href: null },
  ]);
});
