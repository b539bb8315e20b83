import { setTimeout as delay } from 'node:timers/promises';
import { logChannel, progressChannel } from '../db/repositories/build-log.ts';
import { getLogHead } from '../db/repositories/log.ts';
import type { LogHead } from '../db/repositories/log.ts';
import { runChannel } from '../db/repositories/record.ts';
import type { LogLine } from '../domain/log-line.ts';
import type { LogReader } from './build-log.ts';
import type { ApiDeps } from './deps.ts';
import { createWaker, encodeEvent } from './event-stream.ts';

/** Lines that come close together go out together. */
const batchMs = 100;
const batchBytes = 64 * 1024;
/** A lost listener loses notices: look at least this often. */
const lookMs = 5_000;
/** Newest events of a followed log kept ready for all its readers; who is further behind reads what is stored. */
const keptBytes = 4 * 1024 * 1024;

/** Consecutive lines as one event, ready to be sent. */
export interface LogBatch {
  readonly firstLine: number;
  readonly lastLine: number;
  readonly bytes: Uint8Array;
}

/** One reader's view of a log that is being followed. */
export interface LogFeed {
  readonly head: LogHead;
  /** The newest lines after a line, if they are at hand. */
  batchAfter(line: number): LogBatch | undefined;
  /** What has come so far of steps that are under way, as an event; undefined when there is nothing newer than last time. */
  takeProgress(): Uint8Array | undefined;
  /** Resolves when the log may have grown or ended, or after five seconds. */
  wait(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Follows every log once, however many read it: one look at the database and one read of a segment serve them all. */
export interface LogHub {
  open(head: LogHead): LogFeed;
}

type HubDeps = Pick<ApiDeps, 'db' | 'listener'> & { readonly reader: LogReader };

export function createLogHub(deps: HubDeps): LogHub {
  const followed = new Map<string, Followed>();
  return {
    open(head) {
      const log = followed.get(head.id) ?? followLog(deps, head, () => followed.delete(head.id));
      followed.set(head.id, log);
      return log.join();
    },
  };
}

interface Followed {
  join(): LogFeed;
}

/** Follows one log from its present end until the last reader has left. */
function followLog({ db, listener, reader }: HubDeps, first: LogHead, onEmpty: () => void): Followed {
  const stopping = new AbortController();
  const waker = createWaker();
  const readers = new Set<ReturnType<typeof createWaker>>();
  let head = first;
  let batches: LogBatch[] = [];
  let size = 0;
  let progress: { readonly bytes: Uint8Array } | undefined;

  const wakeFor = (id: string) => (payload: string | null) => {
    if (payload === null || payload === id) waker.notify();
  };
  const stops = [
    listener.on(logChannel, wakeFor(first.id)),
    listener.on(runChannel, wakeFor(first.run_id)),
    listener.on(progressChannel, (payload) => {
      const bytes = payload === null ? undefined : progressEvent(payload, first.id);
      if (bytes === undefined) return;
      progress = { bytes };
      tellAll();
    }),
  ];
  const tellAll = (): void => {
    for (const each of readers) each.notify();
  };

  async function look(): Promise<void> {
    const next = await getLogHead(db, first.id);
    let sent = head.log_lines;
    if (next.log_lines > sent) {
      const range = { buildId: first.id, afterLine: sent, signal: stopping.signal };
      for await (const lines of reader.lines(range)) {
        const added = batchesOf(lines);
        batches.push(...added);
        size += added.reduce((sum, { bytes }) => sum + bytes.length, 0);
        sent = lines.at(-1)?.line ?? sent;
      }
      while (size > keptBytes) size -= batches.shift()?.bytes.length ?? size;
    }
    head = { ...next, log_lines: Math.max(sent, next.log_lines) };
    tellAll();
  }

  async function follow(): Promise<void> {
    while (!stopping.signal.aborted) {
      await waker.wait(lookMs, stopping.signal);
      // A database that is away for a moment is asked again; readers keep what they have.
      await look().catch(() => undefined);
      await delay(batchMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  function join(): LogFeed {
    const own = createWaker();
    readers.add(own);
    let toldProgress = progress;
    return {
      get head() {
        return head;
      },
      batchAfter: (line) => batchAfter(batches, line),
      takeProgress() {
        if (progress === toldProgress) return undefined;
        toldProgress = progress;
        return progress?.bytes;
      },
      wait: (signal) => own.wait(lookMs, signal),
      close() {
        readers.delete(own);
        if (readers.size > 0) return;
        onEmpty();
        stopping.abort();
        for (const stop of stops) stop();
        batches = [];
      },
    };
  }

  void follow();
  return { join };
}

/** Batches stand in order without a gap: the one that begins right after a line is found by halving. */
function batchAfter(batches: readonly LogBatch[], line: number): LogBatch | undefined {
  let [low, high] = [0, batches.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((batches[middle]?.firstLine ?? 0) <= line) low = middle + 1;
    else high = middle;
  }
  const found = batches[low];
  return found?.firstLine === line + 1 ? found : undefined;
}

/** Runs of lines of at most 64 KiB of text as events; a longer line goes alone. The id of an event is its last line's number. */
export function batchesOf(lines: readonly LogLine[]): LogBatch[] {
  const all: LogLine[][] = [];
  let sizeBytes = batchBytes;
  for (const line of lines) {
    const lineBytes = Buffer.byteLength(line.text) + 128;
    if (sizeBytes + lineBytes > batchBytes) {
      all.push([]);
      sizeBytes = 0;
    }
    all.at(-1)?.push(line);
    sizeBytes += lineBytes;
  }
  return all.map((items) => {
    const [firstLine, lastLine] = [items[0]?.line ?? 0, items.at(-1)?.line ?? 0];
    return { firstLine, lastLine, bytes: encodeEvent({ id: lastLine, data: { items } }) };
  });
}

function progressEvent(payload: string, buildId: string): Uint8Array | undefined {
  if (!payload.includes(buildId)) return undefined;
  const { platform, step, text }: Record<string, unknown> = JSON.parse(payload);
  return encodeEvent({ event: 'progress', data: { platform, step, text } });
}
