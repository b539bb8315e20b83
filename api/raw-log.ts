import { findSegmentAtByte } from '../db/repositories/log.ts';
import { AppError } from '../domain/errors.ts';
import { parseLogSegment } from '../domain/log-line.ts';
import type { LogDeps, LogReader } from './build-log.ts';

/** First byte and the one behind the last. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The range a `Range` header asks for, cut to the size; undefined when it asks for none, or for several, which are answered whole.
 * Throws 416 `request.range_not_satisfiable`.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (start < end) return { start, end };
  throw new AppError(
    416,
    'request.range_not_satisfiable',
    `The log has ${sizeBytes} bytes now, and the range asked for holds none of them. Ask for a range inside it.`,
    { extra: { sizeBytes } },
  );
}

export type RawLogDeps = Pick<LogDeps, 'db'> & { readonly reader: LogReader };

/** The texts of all lines, each ended by a line feed, as bytes `start` to before `end`. */
export function rawLog(
  deps: RawLogDeps,
  range: ByteRange & { buildId: string; signal: AbortSignal },
): ReadableStream<Uint8Array> {
  return ReadableStream.from(rawChunks(deps, range));
}

/** Begins with the segment that holds the first byte, so that the end of a long log costs no more than its beginning. */
async function* rawChunks(
  { db, reader }: RawLogDeps,
  { buildId, start, end, signal }: ByteRange & { buildId: string; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const from = await findSegmentAtByte(db, { buildId, byte: start });
  let offset = from?.first_byte ?? 0;
  const afterLine = (from?.first_line ?? 1) - 1;
  for await (const { segment, content } of reader.segments({ buildId, afterLine, signal }, { isScan: true })) {
    const lines = parseLogSegment(content, segment.first_line);
    const bytes = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''), 'utf8');
    const part = bytes.subarray(Math.max(0, start - offset), Math.max(0, end - offset));
    offset += bytes.length;
    if (part.length > 0) yield part;
    if (offset >= end) return;
  }
}
