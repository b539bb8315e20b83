import { setTimeout as delay } from 'node:timers/promises';
import { logChannel } from '../db/repositories/build-log.ts';
import { getLogHead } from '../db/repositories/log.ts';
import type { LogHead } from '../db/repositories/log.ts';
import { runChannel } from '../db/repositories/record.ts';
import type { LogLine } from '../domain/log-line.ts';
import { readLogLines } from './build-log.ts';
import type { LogDeps } from './build-log.ts';
import type { ApiDeps } from './deps.ts';
import { createWaker } from './event-stream.ts';
import type { EventSink } from './event-stream.ts';

/** Lines that come close together go out together. */
const batchMs = 100;
const batchBytes = 64 * 1024;
/** A lost listener loses notices: look at least this often. */
const lookMs = 5_000;

export type LogStreamDeps = LogDeps & Pick<ApiDeps, 'listener'>;

/**
 * Follows a build's log: first what is stored after a line, then what comes, each line once and in order; `end` with the build's
 * status when nothing can come any more. The id of an event is the number of its last line.
 */
export async function followLog(
  deps: LogStreamDeps,
  { head, afterLine, sink }: { head: LogHead; afterLine: number; sink: EventSink },
): Promise<void> {
  const waker = createWaker();
  const wakeFor = (id: string) => (payload: string | null) => {
    if (payload === null || payload === id) waker.notify();
  };
  const stops = [deps.listener.on(logChannel, wakeFor(head.id)), deps.listener.on(runChannel, wakeFor(head.run_id))];
  try {
    await follow(deps, { buildId: head.id, afterLine, sink, wait: () => waker.wait(lookMs, sink.signal) });
  } finally {
    for (const stop of stops) stop();
  }
}

async function follow(
  deps: LogStreamDeps,
  {
    buildId,
    afterLine,
    sink,
    wait,
  }: { buildId: string; afterLine: number; sink: EventSink; wait: () => Promise<void> },
): Promise<void> {
  let sent = afterLine;
  while (!sink.signal.aborted) {
    // Read before the lines: what is written between the two is seen by the next look.
    const { ended_at: endedAt, status, log_lines: lines } = await getLogHead(deps.db, buildId);
    if (lines > sent) sent = await sendLines(deps, { buildId, afterLine: sent, sink });
    if (endedAt !== null && sent >= lines) {
      await sink.send({ event: 'end', data: { status, lines: Math.max(sent, lines) } });
      return;
    }
    await wait();
    if (!sink.signal.aborted) await delay(batchMs);
  }
}

async function sendLines(
  deps: LogStreamDeps,
  { buildId, afterLine, sink }: { buildId: string; afterLine: number; sink: EventSink },
): Promise<number> {
  let sent = afterLine;
  for await (const segment of readLogLines(deps, { buildId, afterLine, signal: sink.signal })) {
    for (const items of batches(segment)) {
      sent = items.at(-1)?.line ?? sent;
      await sink.send({ id: sent, data: { items } });
    }
  }
  return sent;
}

/** Runs of lines of at most 64 KiB of text; a longer line goes alone. */
function batches(lines: readonly LogLine[]): LogLine[][] {
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
  return all;
}
