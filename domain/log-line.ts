import { z } from 'zod';
import { architectures } from './build.ts';

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

/** The content of a segment's object before zstd: one JSON object a line. */
export function formatLogSegment(lines: readonly StoredLogLine[]): string {
  return lines
    .map(({ time, stage, platform, text }) => `${JSON.stringify({ time, stage, platform, text })}\n`)
    .join('');
}

/** The lines of a segment, numbered from `firstLine`. Throws a ZodError when the object was not written by us. */
export function parseLogSegment(content: string, firstLine: number): LogLine[] {
  const rows = content.split('\n').filter((row) => row !== '');
  return rows.map((row, index) => ({ line: firstLine + index, ...storedLineSchema.parse(JSON.parse(row)) }));
}
