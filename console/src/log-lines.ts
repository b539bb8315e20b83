/** Consecutive lines: `lines` of them from `line` on. */
export interface LineRange {
  readonly line: number;
  readonly lines: number;
}

/** Which lines of a log are shown as rows: those of one architecture, or those that tell of an error. Rows count from 0, lines from 1. */
export class LineSelection {
  #ranges: LineRange[] = [];
  /** How many rows lie before each range. */
  #before: number[] = [];
  #rows = 0;

  constructor(ranges: readonly LineRange[]) {
    for (const range of ranges) this.add(range);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds lines behind those there are; lines that are there already are passed over. */
  add({ line, lines }: LineRange): void {
    const last = this.#ranges.at(-1);
    const end = last === undefined ? 0 : last.line + last.lines - 1;
    const from = Math.max(line, end + 1);
    const more = line + lines - from;
    if (more <= 0) return;
    if (last !== undefined && from === end + 1)
      this.#ranges[this.#ranges.length - 1] = { ...last, lines: last.lines + more };
    else {
      this.#ranges.push({ line: from, lines: more });
      this.#before.push(this.#rows);
    }
    this.#rows += more;
  }

  /** The line a row shows; undefined past the end. */
  lineOf(row: number): number | undefined {
    if (row < 0 || row >= this.#rows) return undefined;
    const place = lastAtMost(this.#before, row);
    const range = this.#ranges[place];
    return range === undefined ? undefined : range.line + row - (this.#before[place] ?? 0);
  }

  /** The row of a line, or of the nearest one after it; the last row when there is none. */
  rowOf(line: number): number {
    const starts = this.#ranges.map((range) => range.line);
    const place = Math.max(0, lastAtMost(starts, line));
    const range = this.#ranges[place];
    if (range === undefined) return 0;
    const within = Math.min(Math.max(0, line - range.line), range.lines);
    return Math.min((this.#before[place] ?? 0) + within, Math.max(0, this.#rows - 1));
  }
}

/** The last place whose value is at most this one; -1 when there is none. */
function lastAtMost(values: readonly number[], wanted: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
