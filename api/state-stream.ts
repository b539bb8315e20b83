import { listEventsAfter } from '../db/repositories/events.ts';
import type { EventTopics, StateEvent } from '../db/repositories/events.ts';
import { runChannel } from '../db/repositories/record.ts';
import type { ApiDeps } from './deps.ts';
import { createWaker } from './event-stream.ts';
import type { EventSink } from './event-stream.ts';

/** A lost listener loses notices: look at least this often. */
const lookMs = 5_000;
const eventsPerQuery = 500;
const runsPerStream = 10_000;

type StateStreamDeps = Pick<ApiDeps, 'db' | 'listener'>;

/**
 * Sends the events of the topics after an id, and then each new one. Events of one run come in order; ids are drawn before commits,
 * so an event of another run may come after one with a greater id: each run has its own place, and looks overlap.
 */
export async function followStates(
  deps: StateStreamDeps,
  { topics, afterId, sink }: { topics: EventTopics; afterId: number; sink: EventSink },
): Promise<void> {
  const waker = createWaker();
  const changed = new Set<string>();
  const stop = deps.listener.on(runChannel, (runId) => {
    if (runId !== null) changed.add(runId);
    waker.notify();
  });
  const sent = createSentIds(afterId);
  try {
    // Past so many runs the stream ends and the reader comes back: what is kept per run stays bounded.
    while (!sink.signal.aborted && sent.runs < runsPerStream) {
      await sendNew(deps, { topics, sent, sink });
      for (const runId of changed) {
        changed.delete(runId);
        await sendNew(deps, { topics, sent, sink, runId });
      }
      await waker.wait(lookMs, sink.signal);
    }
  } finally {
    stop();
  }
}

async function sendNew(
  { db }: StateStreamDeps,
  { topics, sent, sink, runId }: { topics: EventTopics; sent: SentIds; sink: EventSink; runId?: string },
): Promise<void> {
  let afterId = runId === undefined ? sent.floor() : sent.of(runId);
  for (;;) {
    const events = await listEventsAfter(db, { topics, afterId, limit: eventsPerQuery, runId });
    for (const event of events) {
      afterId = event.id;
      if (event.id <= sent.of(event.run_id)) continue;
      sent.note(event);
      await sink.send({ id: event.id, data: stateOf(event, topics) });
    }
    if (events.length < eventsPerQuery) return;
  }
}

/** What was sent: the last id of each run, and the id from which the next look at all runs begins. */
interface SentIds {
  floor(): number;
  of(runId: string): number;
  note(event: StateEvent): void;
  readonly runs: number;
}

/** A look begins where the one before the last ended, so that what was committed late is still seen. */
function createSentIds(afterId: number): SentIds {
  const byRun = new Map<string, number>();
  let floors: readonly [number, number] = [afterId, afterId];
  let newest = afterId;
  return {
    floor() {
      const [oldest, next] = floors;
      floors = [next, newest];
      return oldest;
    },
    of: (runId) => byRun.get(runId) ?? afterId,
    note({ run_id: runId, id }) {
      byRun.set(runId, id);
      newest = Math.max(newest, id);
    },
    get runs() {
      return byRun.size;
    },
  };
}

/** Under the closest topic that was asked for. */
function stateOf({ run_id: id, chain_id: chainId, type, version }: StateEvent, topics: EventTopics) {
  const topic = topics.runIds.includes(id)
    ? `run:${id}`
    : chainId !== null && topics.chainIds.includes(chainId)
      ? `chain:${chainId}`
      : 'runs';
  return { topic, type, id, version };
}
