import { expect, test } from 'vitest';
import { LineSelection } from '../../console/src/log-lines.ts';

test('rows and lines of a part of a log lead to each other', () => {
  const part = new LineSelection([
    { line: 3, lines: 2 },
    { line: 10, lines: 3 },
  ]);
  expect(part.rows).toBe(5);
  expect([-1, 0, 1, 2, 4, 5].map((row) => part.lineOf(row))).toEqual([undefined, 3, 4, 10, 12, undefined]);
  expect([1, 3, 4, 7, 10, 12, 99].map((line) => part.rowOf(line))).toEqual([0, 0, 1, 2, 2, 4, 4]);
});

test('lines that come later are added, those that are there are not doubled', () => {
  const part = new LineSelection([{ line: 3, lines: 2 }]);
  part.add({ line: 4, lines: 2 });
  part.add({ line: 5, lines: 1 });
  part.add({ line: 9, lines: 1 });
  expect([part.rows, part.lineOf(2), part.lineOf(3)]).toEqual([4, 5, 9]);
});

test('a part without lines has no row', () => {
  const part = new LineSelection([]);
  expect([part.rows, part.lineOf(0), part.rowOf(5)]).toEqual([0, undefined, 0]);
});
