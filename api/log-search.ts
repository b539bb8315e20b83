import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseLogRow, segmentRows } from '../domain/log-line.ts';
import type { LogLine } from '../domain/log-line.ts';
import { isErrorLine, plainLine } from '../domain/log-text.ts';
import type { LogRange, LogReader, ReadSegment } from './build-log.ts';

/** A search that has not found enough by then answers what it has, and where to go on. */
const searchMs = 2_000;

export interface LogSearch extends LogRange {
  /** Found whatever its case, in what a reader sees: colours are no part of it. Empty: every line. */
  readonly text: string;
  /** Only lines that tell of an error. */
  readonly isErrorOnly: boolean;
  readonly limit: number;
}

export interface LogSearchResult {
  readonly items: readonly LogLine[];
  /** Where the next search begins: the last line looked at; null when all were. */
  readonly nextOffset: number | null;
}

/** Looks through a stored log line by line, for a bounded time and without holding more than one segment of it. */
export async function searchLog(reader: LogReader, search: LogSearch): Promise<LogSearchResult> {
  const deadline = performance.now() + searchMs;
  const matches = matcherOf(search);
  const items: LogLine[] = [];
  for await (const read of reader.segments(search, { isScan: true })) {
    const { first_line: firstLine, lines } = read.segment;
    for (const line of matches(read)) {
      if (line.line <= search.afterLine) continue;
      items.push(line);
      if (items.length >= search.limit) return { items, nextOffset: line.line };
    }
    if (performance.now() > deadline) return { items, nextOffset: firstLine + lines - 1 };
    // A thousand segments in a row must leave other requests their turn.
    await nextTurn();
  }
  return { items, nextOffset: null };
}

/**
 * The lines of a segment that match. Most segments and rows of a long log hold nothing that is looked for: they are told by the
 * text as it is stored, before anything is taken apart. Colours may stand within the words, so a row that has any is always read.
 */
function matcherOf({ text, isErrorOnly }: LogSearch): (read: ReadSegment) => Generator<LogLine> {
  const needle = text.toLowerCase();
  const stored = JSON.stringify(needle).slice(1, -1);
  const mayMatch = (json: string): boolean =>
    json.includes('\\u001b') || (json.toLowerCase().includes(stored) && (!isErrorOnly || errorHint.test(json)));
  return function* matching({ segment, content }) {
    if (!mayMatch(content)) return;
    for (const { row, line: number } of segmentRows(content, segment.first_line)) {
      if (!mayMatch(row)) continue;
      const line = parseLogRow(row, number);
      const seen = line.text.includes('\u001b') ? plainLine(line.text) : line.text;
      if (seen.toLowerCase().includes(needle) && (!isErrorOnly || isErrorLine(seen))) yield line;
    }
  };
}

const errorHint = /ERROR|error:|fatal:|failed to /;
