import { z } from 'zod';
import { architectures, type Architecture } from './build.ts';

/** The stages of a build, in order (docs/product.md, section 7). */
export const buildStages = ['clone', 'prepare', 'build', 'index', 'push'] as const;
export type BuildStage = (typeof buildStages)[number];

const storedLineSchema = z.object({
  /** RFC 3339. */
  time: z.string(),
  stage: z.enum(buildStages),
  /** null: said of the build as a whole. */
  platform: z.enum(architectures).nullable(),
  text: z.string(),
});

/** A line as a log segment holds it. Its number is not in it: it is the segment's `first_line` plus its place. */
export type StoredLogLine = Readonly<z.infer<typeof storedLineSchema>>;

/** A line of a build's log; `line` counts from 1 through all architectures (docs/product.md, section 7, "Log"). */
export interface LogLine extends StoredLogLine {
  readonly line: number;
}

/** How far something has come that has not ended its line: shown to those who watch, kept by nobody. */
export interface LogProgress {
  readonly platform: Architecture | null;
  /** The number of the step it belongs to. */
  readonly step: number;
  readonly text: string;
}

/** The content of a segment's object before zstd: one JSON object a line. */
export function formatLogSegment(lines: readonly StoredLogLine[]): string {
  return lines
    .map(({ time, stage, platform, text }) => `${JSON.stringify({ time, stage, platform, text })}\n`)
    .join('');
}

/**
 * The lines of a segment, numbered from `firstLine`; with `afterLine` and `limit` no others are taken apart. Throws a ZodError
 * when the object was not written by us.
 */
export function parseLogSegment(
  content: string,
  firstLine: number,
  { afterLine = 0, limit = Number.POSITIVE_INFINITY }: { afterLine?: number; limit?: number } = {},
): LogLine[] {
  const lines: LogLine[] = [];
  for (const { row, line } of segmentRows(content, firstLine)) {
    if (lines.length >= limit) break;
    if (line > afterLine) lines.push(parseLogRow(row, line));
  }
  return lines;
}

/** The rows of a segment as they are stored, each with its line's number. */
export function* segmentRows(content: string, firstLine: number): Generator<{ row: string; line: number }> {
  let start = 0;
  for (let line = firstLine; start < content.length; line += 1) {
    const end = content.indexOf('\n', start);
    const rowEnd = end === -1 ? content.length : end;
    yield { row: content.slice(start, rowEnd), line };
    start = rowEnd + 1;
  }
}

/** One stored row as a line. */
export function parseLogRow(row: string, line: number): LogLine {
  return { line, ...storedLineSchema.parse(JSON.parse(row)) };
}
