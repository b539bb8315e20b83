import { describe, expect, test } from 'vitest';
import { createLineReader, isErrorLine, plainLine } from '../../domain/log-text.ts';

function read(text: string, secrets: readonly string[] = []): readonly string[] {
  const reader = createLineReader(secrets);
  return [...reader.push(text), ...reader.end()];
}

describe('reading the lines of a program', () => {
  test('lines are put together from pieces, whatever their borders, and the last needs no end', () => {
    const text = 'one\ntwo\r\n\nthree\rTHREE\nfour';
    for (let border = 0; border <= text.length; border += 1) {
      const reader = createLineReader([]);
      const lines = [...reader.push(text.slice(0, border)), ...reader.push(text.slice(border)), ...reader.end()];
      expect(lines, `split at ${border}`).toEqual(['one', 'two', '', 'THREE', 'four']);
    }
  });

  test('of a progress bar that overwrites itself only the last state is shown', () => {
    expect(read(' 10%\r 50%\r100%\ndone\n')).toEqual(['100%', 'done']);
  });

  test('a progress bar without an end does not grow in memory and shows its last state', () => {
    const reader = createLineReader([]);
    for (let percent = 0; percent < 100_000; percent += 1) expect(reader.push(`${percent}\r`)).toEqual([]);
    expect(reader.end()).toEqual(['99999']);
  });

  test('colours stay, each line begins and ends its own', () => {
    expect(read('\u001b[31mred\nstill red\u001b[0m\nplain\n')).toEqual([
      '\u001b[31mred\u001b[0m',
      '\u001b[31mstill red\u001b[0m\u001b[0m',
      'plain',
    ]);
  });

  test('cursor moves, titles, links, bells and characters that turn the direction are removed', () => {
    expect(
      read('\u001b[2K\u001b[1Gbuild\u001b]0;title\u0007ing\u001b[?25l \u0007x\u202ey\u001b]8;;http://a\u001b\\z\n'),
    ).toEqual(['building xyz']);
    expect(plainLine('RUN echo \u001b[31m"a\nb"\u001b[0m\u0000')).toBe('RUN echo "a b"');
  });

  test('a line past 16 KiB is cut, visibly, and the next one is whole', () => {
    const [cut, next] = read(`${'x'.repeat(20_000)}\nnext\n`);
    expect(cut).toBe(`${'x'.repeat(16_384)} … (the line goes on)`);
    expect(next).toBe('next');
  });

  test('a secret is masked wherever the stream is split, also where a long line is cut', () => {
    const secret = 'hunter2-hunter2';
    const text = `${'x'.repeat(16_380)}${secret}\nlogin ${secret} ok\n`;
    for (let border = 16_370; border < text.length; border += 1) {
      const reader = createLineReader([secret]);
      const lines = [...reader.push(text.slice(0, border)), ...reader.push(text.slice(border)), ...reader.end()];
      expect(lines).toEqual([`${'x'.repeat(16_380)}***`, 'login *** ok']);
    }
  });
});

test('an error line is known with and without colour and vertex number', () => {
  for (const line of [
    'ERROR: failed to solve',
    '\u001B[31mERROR\u001B[0m: x',
    '#7 ERROR: exit code 1',
    'fatal: not a git repository',
  ]) {
    expect(isErrorLine(line)).toBe(true);
  }
  for (const line of ['#7 npm warn old', 'ERRORS=0', 'no error: fine']) expect(isErrorLine(line)).toBe(false);
});
