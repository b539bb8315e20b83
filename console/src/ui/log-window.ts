/** Height of one log line in CSS pixels: line numbers are links, and a target needs 24. */
export const rowHeight = 24;

// Browsers clamp an element's height (Firefox near 17.8 million px, Chromium 33.5 million): past this, scrolling is scaled.
const maxHeight = 10_000_000;
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
