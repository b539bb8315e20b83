import type { LogHead } from '../db/repositories/log.ts';
import type { LogReader } from './build-log.ts';
import type { EventSink } from './event-stream.ts';
import { batchesOf } from './log-hub.ts';
import type { LogFeed, LogHub } from './log-hub.ts';

/**
 * Follows a build's log: first what is stored after a line, then what comes, each line once and in order; `end` with the build's
 * status when nothing can come any more. The id of an event is the number of its last line; events `progress` have none, they are
 * never stored and never sent again.
 */
export async function followLog(
  { hub, reader }: { hub: LogHub; reader: LogReader },
  { head, afterLine, sink }: { head: LogHead; afterLine: number; sink: EventSink },
): Promise<void> {
  const feed = hub.open(head);
  try {
    let sent = afterLine;
    while (!sink.signal.aborted) {
      const { log_lines: lines, ended_at: endedAt, status } = feed.head;
      const before = sent;
      if (sent < lines) sent = await sendLines({ feed, reader }, { afterLine: sent, sink });
      // A log whose time is over has fewer lines than were written.
      if (endedAt !== null && (sent >= lines || sent === before)) {
        await sink.send({ event: 'end', data: { status, lines: Math.max(sent, lines) } });
        return;
      }
      const progress = feed.takeProgress();
      if (progress !== undefined) await sink.sendEncoded(progress);
      if (sent >= feed.head.log_lines || sent === before) await feed.wait(sink.signal);
    }
  } finally {
    feed.close();
  }
}

/** Sends what is at hand for all readers, or else the stored lines up to where that begins. Answers the last line sent. */
async function sendLines(
  { feed, reader }: { feed: LogFeed; reader: LogReader },
  { afterLine, sink }: { afterLine: number; sink: EventSink },
): Promise<number> {
  let sent = afterLine;
  for (let batch = feed.batchAfter(sent); batch !== undefined; batch = feed.batchAfter(sent)) {
    await sink.sendEncoded(batch.bytes);
    sent = batch.lastLine;
  }
  if (sent > afterLine) return sent;
  const range = { buildId: feed.head.id, afterLine, signal: sink.signal };
  for await (const lines of reader.lines(range)) {
    for (const { bytes, lastLine } of batchesOf(lines)) {
      await sink.sendEncoded(bytes);
      sent = lastLine;
    }
    if (feed.batchAfter(sent) !== undefined) break;
  }
  return sent;
}
