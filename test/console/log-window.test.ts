import { expect, test } from 'vitest';
import {
  logWindow,
  rowHeight,
  scrollTopOfRow,
  wrappedScrollTop,
  wrappedWindow,
} from '../../console/src/ui/log-window.ts';

const viewHeight = 500;

test('a short log is drawn whole', () => {
  expect(logWindow({ rows: 20, scrollTop: 0, viewHeight })).toEqual({ height: 480, first: 0, last: 20, top: 0 });
});

test('never more rows are drawn than the view needs, however long the log', () => {
  for (const rows of [1_000, 100_000, 1_000_000, 5_000_000]) {
    for (const part of [0, 0.3, 0.999, 1]) {
      const { height } = logWindow({ rows, scrollTop: 0, viewHeight });
      const { first, last } = logWindow({ rows, scrollTop: part * (height - viewHeight), viewHeight });
      expect(last - first).toBeLessThanOrEqual(60);
      expect(last - first).toBeGreaterThan(20);
    }
  }
});

test('the last row of a million stands at the end of the scrolled area, under the height browsers clamp', () => {
  const rows = 1_000_000;
  const { height } = logWindow({ rows, scrollTop: 0, viewHeight });
  expect(height).toBe(10_000_000);
  const end = logWindow({ rows, scrollTop: height - viewHeight, viewHeight });
  expect(end.last).toBe(rows);
  expect(end.top + (end.last - end.first) * rowHeight).toBeCloseTo(height, 3);
});

test('a line is brought into view wherever it stands', () => {
  for (const rows of [30, 3_000, 1_000_000]) {
    for (const row of [0, Math.floor(rows / 2), rows - 1]) {
      const scrollTop = scrollTopOfRow({ rows, row, viewHeight });
      const { first, last, top } = logWindow({ rows, scrollTop, viewHeight });
      expect(row).toBeGreaterThanOrEqual(first);
      expect(row).toBeLessThan(last);
      const offset = top + (row - first) * rowHeight - scrollTop;
      expect(offset).toBeGreaterThanOrEqual(-1);
      expect(offset).toBeLessThanOrEqual(Math.max(viewHeight, rows * rowHeight));
    }
  }
});

test('broken lines: the first row stands at the top at the beginning, the last at the bottom at the end', () => {
  for (const rows of [200, 40_000, 1_000_000]) {
    const begin = wrappedWindow({ rows, scrollTop: 0, viewHeight });
    expect([begin.first, begin.anchor, begin.anchorTop]).toEqual([0, 0, 0]);
    const { height } = logWindow({ rows, scrollTop: 0, viewHeight });
    const end = wrappedWindow({ rows, scrollTop: height - viewHeight, viewHeight });
    expect([end.last, end.anchor, end.anchorTop]).toEqual([rows, rows, viewHeight]);
    expect(end.last - end.first).toBeLessThanOrEqual(100);
    for (const row of [0, 77, rows - 1]) {
      const scrollTop = wrappedScrollTop({ rows, row, viewHeight });
      expect(wrappedWindow({ rows, scrollTop, viewHeight }).anchor).toBeCloseTo(row, 6);
    }
  }
});
