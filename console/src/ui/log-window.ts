/** Height of one log line in CSS pixels: line numbers are links, and a target needs 24. */
export const rowHeight = 24;

// Browsers clamp an element's height (Firefox near 17.8 million px, Chromium 33.5 million): past this, scrolling is scaled.
export const maxHeight = 10_000_000;
const overscan = 12;

/** Which rows to draw and where. `top` is the offset of the first drawn row from the top of the scrolled area. */
export interface LogWindow {
  readonly height: number;
  readonly first: number;
  readonly last: number;
  readonly top: number;
}

/**
 * The rows (0-based, `last` exclusive) in view at `scrollTop`, with a few around them; never more than the view needs. Our own
 * arithmetic and no library's: theirs takes the natural height, which for a million lines is more than a browser gives.
 */
export function logWindow({
  rows,
  scrollTop,
  viewHeight,
}: {
  rows: number;
  scrollTop: number;
  viewHeight: number;
}): LogWindow {
  const natural = rows * rowHeight;
  const height = Math.min(natural, maxHeight);
  const offset = naturalOffset({ natural, height, scrollTop, viewHeight });
  const first = Math.max(0, Math.floor(offset / rowHeight) - overscan);
  const last = Math.min(rows, Math.ceil((offset + viewHeight) / rowHeight) + overscan);
  return { height, first, last, top: scrollTop - (offset - first * rowHeight) };
}

/** The `scrollTop` that brings a row (0-based) a third down the view. */
export function scrollTopOfRow({ rows, row, viewHeight }: { rows: number; row: number; viewHeight: number }): number {
  const natural = rows * rowHeight;
  const height = Math.min(natural, maxHeight);
  const wanted = Math.min(Math.max(0, row * rowHeight - viewHeight / 3), Math.max(0, natural - viewHeight));
  if (natural === height) return wanted;
  return (wanted / (natural - viewHeight)) * (height - viewHeight);
}

interface Scroll {
  readonly natural: number;
  readonly height: number;
  readonly scrollTop: number;
  readonly viewHeight: number;
}

function naturalOffset({ natural, height, scrollTop, viewHeight }: Scroll): number {
  const at = Math.max(0, scrollTop);
  if (natural === height) return at;
  return Math.min(1, at / (height - viewHeight)) * (natural - viewHeight);
}

/** Which rows to draw when rows may be taller than one line, and which of them stands where. */
export interface WrappedWindow {
  readonly first: number;
  readonly last: number;
  /** The point (in rows) that is to stand `anchorTop` pixels below the top of the view. */
  readonly anchor: number;
  readonly anchorTop: number;
}

/**
 * Rows of unknown heights, of any number: the place of the scroll bar names a point within the rows, and that point is drawn at the
 * same place of the view: at the beginning the first row at its top, at the end the last row at its bottom. Only rows in view are
 * measured, by whoever draws them.
 */
export function wrappedWindow({
  rows,
  scrollTop,
  viewHeight,
}: {
  rows: number;
  scrollTop: number;
  viewHeight: number;
}): WrappedWindow {
  const height = Math.min(rows * rowHeight, maxHeight);
  const part = height <= viewHeight ? 0 : Math.min(1, Math.max(0, scrollTop / (height - viewHeight)));
  const around = Math.ceil(viewHeight / rowHeight) + 2;
  const anchor = part * rows;
  const row = Math.min(Math.floor(anchor), Math.max(0, rows - 1));
  const first = Math.max(0, row - around);
  return { first, last: Math.min(rows, row + around), anchor, anchorTop: part * viewHeight };
}

/** The `scrollTop` that brings a row of a wrapped log into view. */
export function wrappedScrollTop({ rows, row, viewHeight }: { rows: number; row: number; viewHeight: number }): number {
  const height = Math.max(viewHeight, Math.min(rows * rowHeight, maxHeight));
  return rows === 0 ? 0 : (row / rows) * (height - viewHeight);
}
