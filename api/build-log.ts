import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { listLogSegments } from '../db/repositories/log.ts';
import { limits } from '../domain/limits.ts';
import { parseLogSegment } from '../domain/log-line.ts';
import type { LogLine } from '../domain/log-line.ts';
import type { ApiDeps } from './deps.ts';

const segmentsPerQuery = 50;
const readMs = 20_000;
const decompress = promisify(zstdDecompress);

export type LogDeps = Pick<ApiDeps, 'db' | 'objectStore'>;

export interface LogRange {
  readonly buildId: string;
  /** Lines up to this one are left out. */
  readonly afterLine: number;
  readonly platform?: string | undefined;
  readonly signal: AbortSignal;
}

/** The stored lines after a line, segment by segment; ends where the log ends now. Nothing more than one segment is held. */
export async function* readLogLines(deps: LogDeps, range: LogRange): AsyncGenerator<readonly LogLine[]> {
  let { afterLine } = range;
  for (;;) {
    const segments = await listLogSegments(deps.db, { ...range, afterLine, limit: segmentsPerQuery });
    for (const segment of segments) {
      const lines = await readSegment(deps, { key: segment.object_key, firstLine: segment.first_line, ...range });
      yield lines.filter((line) => line.line > afterLine);
      afterLine = segment.first_line + segment.lines - 1;
    }
    if (segments.length < segmentsPerQuery) return;
  }
}

async function readSegment(
  { objectStore }: LogDeps,
  { key, firstLine, signal }: { key: string; firstLine: number; signal: AbortSignal },
): Promise<readonly LogLine[]> {
  const bytes = await objectStore.objectGetBytes(key, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(readMs)]),
  });
  const content = await decompress(bytes, { maxOutputLength: 4 * limits.logBytes });
  return parseLogSegment(content.toString('utf8'), firstLine);
}

/** At most `limit` lines that `isWanted`, after a line. */
export async function takeLogLines(
  deps: LogDeps,
  { limit, isWanted = () => true, ...range }: LogRange & { limit: number; isWanted?: (line: LogLine) => boolean },
): Promise<LogLine[]> {
  const taken: LogLine[] = [];
  for await (const lines of readLogLines(deps, range)) {
    taken.push(...lines.filter(isWanted).slice(0, limit - taken.length));
    if (taken.length >= limit) break;
  }
  return taken;
}
