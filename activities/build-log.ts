import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import { Context } from '@temporalio/activity';
import type { Architecture } from '../domain/build.ts';
import { limits } from '../domain/limits.ts';
import { formatLogSegment, type BuildStage, type StoredLogLine } from '../domain/log-line.ts';
import type { LogMark, LogStepMark } from '../domain/log-steps.ts';
import { plainLine } from '../domain/log-text.ts';
import { createTextMask } from '../domain/mask.ts';
import type { Database } from '../db/database.ts';
import { announceProgress, appendLogSegment, type AppendedSegment } from '../db/repositories/build-log.ts';
import type { ObjectStore } from './drivers/object-store.ts';

export interface BuildLogTimings {
  /** Lines wait no longer than this for company. */
  readonly flushMs: number;
  /** First wait after a failed flush; doubled up to twenty times that. */
  readonly retryMs: number;
  /** How long `close` tries to bring the rest home. */
  readonly closeMs: number;
}

export interface BuildLogOptions {
  readonly db: Database;
  readonly objectStore: Pick<ObjectStore, 'objectPut'>;
  readonly clock: () => Date;
  readonly buildId: string;
  /** null: lines about the build as a whole. */
  readonly platform: Architecture | null;
  /** The run's attempt and the activity's: together with the platform no two writers are the same. */
  readonly runAttempt: number;
  readonly attempt: number;
  /** Never shown. */
  readonly secrets: readonly string[];
  readonly timings?: BuildLogTimings;
  /** What a build's log may hold; another limit in tests only. */
  readonly maxBytes?: number;
}

/** What a build says: a line, with the step that begins or ends with it; or, with `progressOf`, how far that step has come. */
export interface BuildOutput extends Omit<StoredLogLine, 'platform'> {
  readonly mark?: LogStepMark | null;
  readonly progressOf?: number | null;
}

/** Writes one architecture's lines into the one log of its build (docs/product.md, section 7, "Log"). */
export interface BuildLog {
  write(output: readonly BuildOutput[]): void;
  /** A line of ours, at this moment. */
  say(stage: BuildStage, text: string): void;
  /** Lines taken so far; for heartbeats. */
  readonly lines: number;
  /** Brings the rest home, however the work ended. Throws when store or database stay away, so that the attempt is made again. */
  close(): Promise<void>;
}

const defaultTimings: BuildLogTimings = { flushMs: 1_000, retryMs: 250, closeMs: 20_000 };
const segmentBytes = 256 * 1024;
const putTimeoutMs = 20_000;
/** A notice of PostgreSQL holds less than 8,000 bytes. */
const progressLength = 500;
const compress = promisify(zstdCompress);

/** A line on its way into a segment. */
interface MarkedLine extends StoredLogLine {
  readonly mark: LogStepMark | null;
}

interface Segment {
  readonly lines: readonly MarkedLine[];
  readonly isCut: boolean;
}

/**
 * Opens the log for one attempt; an attempt that is not the first says so in its first line. Lines are kept in memory until object
 * and row are there: a failed flush is tried again with the same object, and the row, whose key is that object, is written once.
 */
export function openBuildLog(options: BuildLogOptions): BuildLog {
  const { clock, platform, attempt } = options;
  const { flushMs, retryMs, closeMs } = options.timings ?? defaultTimings;
  const maxBytes = options.maxBytes ?? limits.logBytes;
  const mask = createTextMask(options.secrets);
  const giveUp = new AbortController();
  let waiting: MarkedLine[] = [];
  let waitingBytes = 0;
  let isClosed = false;
  let lines = 0;
  let sequence = 0;
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;
  let announcing: Promise<void> | undefined;

  /** The next one says more: what cannot be told now is not told at all. */
  function announce(step: number, text: string): void {
    const progress = { buildId: options.buildId, platform, step, text: text.slice(0, progressLength) };
    announcing ??= announceProgress(options.db, progress)
      .catch(() => undefined)
      .finally(() => (announcing = undefined));
  }

  function add(line: Omit<MarkedLine, 'platform'>): void {
    // What one writer holds back while the store is away is bounded by what the log can take at all.
    if (isClosed || waitingBytes > maxBytes) return;
    lines += 1;
    waiting.push({ ...line, platform });
    waitingBytes += sizeOf(line);
    if (waitingBytes >= segmentBytes) flush();
    else timer ??= setTimeout(flush, flushMs);
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    flushing ??= drain().finally(() => (flushing = undefined));
    // `close` looks at how it ended; until then it goes on by itself.
    flushing.catch(() => undefined);
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const segment: Segment = { lines: takeWaiting(), isCut: false };
      const stored = await untilStored(segment);
      if (stored.kind === 'full') await untilStored(cutSegment(segment, stored.roomBytes, maxBytes));
      isClosed ||= stored.kind !== 'stored';
      if (isClosed) waiting = [];
    }
  }

  /** About a segment's worth, so that none is too large to read after the store was away for long. */
  function takeWaiting(): readonly MarkedLine[] {
    let bytes = 0;
    const next = waiting.findIndex((line) => (bytes += sizeOf(line)) >= segmentBytes);
    const taken = next < 0 ? waiting : waiting.slice(0, next + 1);
    waiting = waiting.slice(taken.length);
    waitingBytes -= bytes;
    return taken;
  }

  async function untilStored(segment: Segment): Promise<AppendedSegment> {
    sequence += 1;
    const place = { sequence, maxBytes };
    for (let tries = 1; ; tries += 1) {
      try {
        return await storeSegment(options, segment, place);
      } catch (error) {
        if (giveUp.signal.aborted) throw error;
        const waitMs = retryMs * Math.min(20, 2 ** (tries - 1));
        await delay(waitMs, undefined, { signal: giveUp.signal }).catch(() => {
          throw error;
        });
      }
    }
  }

  const log: BuildLog = {
    write(output) {
      for (const { time, stage, text, mark = null, progressOf = null } of output) {
        if (progressOf === null) add({ time, stage, text: mask(text), mark: maskedMark(mark, mask) });
        else announce(progressOf, mask(text));
      }
    },
    say(stage, text) {
      add({ time: clock().toISOString(), stage, text: mask(plainLine(text)), mark: null });
    },
    get lines() {
      return lines;
    },
    async close() {
      const deadline = setTimeout(() => giveUp.abort(), closeMs);
      try {
        if (waiting.length > 0 || flushing !== undefined) flush();
        await flushing;
        await announcing;
      } finally {
        clearTimeout(deadline);
      }
    },
  };
  if (attempt > 1)
    log.say(platform === null ? 'clone' : 'prepare', `Attempt ${attempt}: the one before did not end well.`);
  return log;
}

async function storeSegment(
  options: BuildLogOptions,
  { lines, isCut }: Segment,
  { sequence, maxBytes }: { sequence: number; maxBytes: number },
): Promise<AppendedSegment> {
  const { db, objectStore, buildId, platform, runAttempt, attempt } = options;
  const content = await compress(formatLogSegment(lines));
  const writer = `${platform === null ? 'source' : platform.replaceAll('/', '-')}/${runAttempt}.${attempt}`;
  const key = `logs/build/${buildId}/${writer}/${sequence}.zst`;
  await objectStore.objectPut(key, content, {
    contentType: 'application/zstd',
    signal: AbortSignal.timeout(putTimeoutMs),
  });
  return appendLogSegment(db, {
    build_id: buildId,
    lines: lines.length,
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    object_key: key,
    platform,
    attempt,
    marks: lines.flatMap(marksAt),
    textBytes: lines.reduce((sum, line) => sum + sizeOf(line), 0),
    isCut,
    maxBytes,
  });
}

function maskedMark(mark: LogStepMark | null, mask: (text: string) => string): LogStepMark | null {
  return mark?.kind === 'step' ? { ...mark, name: mask(mark.name) } : mark;
}

function marksAt({ mark, time }: MarkedLine, at: number): LogMark[] {
  return mark === null ? [] : [{ ...mark, at, time }];
}

/** As many of the lines as there is room for, and one that says where the rest is: nowhere. */
function cutSegment({ lines }: Segment, roomBytes: number, maxBytes: number): Segment {
  let bytes = 0;
  const kept = lines.filter((line) => (bytes += sizeOf(line)) <= roomBytes);
  const last = lines[kept.length] ?? lines.at(-1);
  return {
    lines: last === undefined ? kept : [...kept, { ...last, text: cutText(maxBytes), mark: null }],
    isCut: true,
  };
}

function sizeOf({ text }: { readonly text: string }): number {
  return Buffer.byteLength(text) + 1;
}

function cutText(maxBytes: number): string {
  return `… the log ends here: it holds ${Math.round(maxBytes / 1024 / 1024)} MiB, which is all a build may write. The build goes on.`;
}

/** The log of the activity that runs now. */
export function openActivityLog(
  deps: Pick<BuildLogOptions, 'db' | 'objectStore' | 'clock'>,
  {
    buildId,
    platform,
    attempt,
    secrets,
  }: Pick<BuildLogOptions, 'buildId' | 'platform' | 'secrets'> & { readonly attempt: number },
): BuildLog {
  return openBuildLog({
    db: deps.db,
    objectStore: deps.objectStore,
    clock: deps.clock,
    buildId,
    platform,
    runAttempt: attempt,
    attempt: Context.current().info.attempt,
    secrets,
  });
}

/** Closes the log however the work ended; of two failures the work's own is thrown. */
export async function withLog<Result>(log: BuildLog, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await work();
    await log.close();
    return result;
  } catch (error) {
    await log.close().catch(() => undefined);
    throw error;
  }
}
