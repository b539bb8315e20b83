import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { listLogSegments } from '../db/repositories/log.ts';
import type { LogSegment } from '../db/repositories/log.ts';
import { limits } from '../domain/limits.ts';
import { parseLogSegment } from '../domain/log-line.ts';
import type { LogLine } from '../domain/log-line.ts';
import type { ApiDeps } from './deps.ts';

const segmentsPerQuery = 50;
const readMs = 20_000;
/** Characters of segments kept unpacked: what many readers of one log look at, its end above all, is fetched once. */
const keptLength = 32 * 1024 * 1024;
const decompress = promisify(zstdDecompress);

export type LogDeps = Pick<ApiDeps, 'db' | 'objectStore'>;

export interface LogRange {
  readonly buildId: string;
  /** Lines up to this one are left out. */
  readonly afterLine: number;
  readonly platform?: string | undefined;
  readonly signal: AbortSignal;
}

/** A segment with its unpacked content. */
export interface ReadSegment {
  readonly segment: LogSegment;
  readonly content: string;
}

/** Reads stored logs. Segments never change, so each is fetched and unpacked once for all who read it at about the same time. */
export interface LogReader {
  /**
   * The segments with lines after a line, in order; ends where the log ends now. Who means to read the whole log says `isScan`:
   * then one is fetched ahead, and none is kept for others.
   */
  segments(range: LogRange, options?: { readonly isScan: boolean }): AsyncGenerator<ReadSegment>;
  /** The stored lines after a line, segment by segment. */
  lines(range: LogRange): AsyncGenerator<readonly LogLine[]>;
  /** At most `limit` lines after a line. */
  take(range: LogRange & { readonly limit: number }): Promise<LogLine[]>;
}

export function createLogReader({ db, objectStore }: LogDeps): LogReader {
  const kept = new Map<string, Promise<string>>();
  const lengths = new Map<string, number>();
  let length = 0;

  async function fetchContent(key: string): Promise<string> {
    const bytes = await objectStore.objectGetBytes(key, { signal: AbortSignal.timeout(readMs) });
    const content = await decompress(bytes, { maxOutputLength: 4 * limits.logBytes });
    return content.toString('utf8');
  }

  function forget(key: string): void {
    length -= lengths.get(key) ?? 0;
    lengths.delete(key);
    kept.delete(key);
  }

  async function keep(key: string, content: Promise<string>): Promise<void> {
    kept.set(key, content);
    try {
      const size = (await content).length;
      lengths.set(key, size);
      length += size;
      for (const oldest of lengths.keys()) {
        if (length <= keptLength) break;
        forget(oldest);
      }
    } catch {
      // Whoever waits for it is told; the next reader tries again.
      forget(key);
    }
  }

  /** One fetch for all who ask meanwhile: it does not end because one of them left. */
  function read(key: string, isScan: boolean): Promise<string> {
    const found = kept.get(key);
    if (found !== undefined) return found;
    const content = fetchContent(key);
    if (!isScan) void keep(key, content);
    return content;
  }

  /** Begins to read what is asked for next; whether that went well is seen when it is asked for. */
  function readAhead(segment: LogSegment | undefined): Promise<string> | undefined {
    if (segment === undefined) return undefined;
    const content = read(segment.object_key, true);
    content.catch(() => undefined);
    return content;
  }

  async function* segments(range: LogRange, { isScan } = { isScan: false }): AsyncGenerator<ReadSegment> {
    let { afterLine } = range;
    for (;;) {
      const found = await listLogSegments(db, { ...range, afterLine, limit: segmentsPerQuery });
      let ahead: Promise<string> | undefined;
      for (const [index, segment] of found.entries()) {
        range.signal.throwIfAborted();
        const content = await (ahead ?? read(segment.object_key, isScan));
        ahead = isScan ? readAhead(found[index + 1]) : undefined;
        yield { segment, content };
        afterLine = segment.first_line + segment.lines - 1;
      }
      if (found.length < segmentsPerQuery) return;
    }
  }

  return {
    segments,
    async *lines(range) {
      for await (const { segment, content } of segments(range)) {
        yield parseLogSegment(content, segment.first_line, { afterLine: range.afterLine });
      }
    },
    async take({ limit, ...range }) {
      const taken: LogLine[] = [];
      for await (const { segment, content } of segments(range)) {
        const wanted = { afterLine: range.afterLine, limit: limit - taken.length };
        taken.push(...parseLogSegment(content, segment.first_line, wanted));
        if (taken.length >= limit) break;
      }
      return taken;
    },
  };
}
