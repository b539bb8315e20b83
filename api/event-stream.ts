/** How often a silent stream says that it lives. */
const pingMs = 15_000;
/** A reader that takes nothing for so long is closed; it comes back with `Last-Event-ID`. */
const stuckMs = 30_000;
const encoder = new TextEncoder();
/** What is made ahead of a reader; far below the 1 MiB that may be unsent. */
const aheadBytes = 128 * 1024;

export interface StreamEvent {
  readonly id?: string | number;
  /** Without it the event is a `message`. */
  readonly event?: string;
  readonly data: unknown;
}

/** The sending side of one stream of server-sent events. */
export interface EventSink {
  /** Aborted when the reader left, was closed, or the process stops. */
  readonly signal: AbortSignal;
  /** Sends one event; resolves when there is room for the next. Throws once the stream is closed. */
  send(event: StreamEvent): Promise<void>;
  /** Sends an event made by `encodeEvent`, which may be sent to many. */
  sendEncoded(event: Uint8Array): Promise<void>;
}

export interface EventStreamOptions {
  /** The process is stopping: streams say `bye` and end, so that readers go elsewhere. */
  readonly stopping: AbortSignal;
  /** Pings sent meanwhile. */
  readonly pingMs?: number;
}

/**
 * An answer of server-sent events. `run` writes to the sink until it returns; the stream then ends. Memory is bounded: nothing is
 * made before the reader has taken what was sent.
 */
export function eventStream(run: (sink: EventSink) => Promise<void>, options: EventStreamOptions): Response {
  const closed = new AbortController();
  let onRoom = () => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const enqueueBytes = (bytes: Uint8Array) => {
          if (!closed.signal.aborted) controller.enqueue(bytes);
        };
        const enqueue = (text: string) => enqueueBytes(encoder.encode(text));
        const room = () => {
          if ((controller.desiredSize ?? 0) > 0) return Promise.resolve();
          return new Promise<void>((resolve, reject) => {
            const stuck = setTimeout(() => closed.abort(new Error('the reader takes nothing')), stuckMs);
            const settle = (done: () => void) => {
              clearTimeout(stuck);
              closed.signal.removeEventListener('abort', fail);
              done();
            };
            const fail = () => settle(() => reject(closed.signal.reason));
            onRoom = () => settle(resolve);
            closed.signal.addEventListener('abort', fail, { once: true });
          });
        };
        const bye = () => {
          enqueue('event: bye\ndata: {}\n\n');
          closed.abort(new Error('the process is stopping'));
        };
        enqueue('retry: 2000\n\n');
        const ping = setInterval(() => {
          if ((controller.desiredSize ?? 0) > 0) enqueue(': ping\n\n');
        }, options.pingMs ?? pingMs);
        if (options.stopping.aborted) bye();
        options.stopping.addEventListener('abort', bye, { once: true });
        const sendEncoded = async (bytes: Uint8Array) => {
          closed.signal.throwIfAborted();
          enqueueBytes(bytes);
          await room();
        };
        const sink: EventSink = {
          signal: closed.signal,
          send: (event) => sendEncoded(encodeEvent(event)),
          sendEncoded,
        };
        run(sink)
          .catch((error: unknown) => {
            // What the reader caused by leaving is no error; anything else ends the stream, and the reader comes back.
            if (!closed.signal.aborted) closed.abort(error);
          })
          .finally(() => {
            clearInterval(ping);
            options.stopping.removeEventListener('abort', bye);
            closed.abort(new Error('the stream has ended'));
            closeQuietly(controller);
          });
      },
      pull() {
        onRoom();
      },
      cancel() {
        closed.abort(new Error('the reader left'));
      },
    },
    { highWaterMark: aheadBytes, size: (chunk) => chunk.byteLength },
  );
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'content-encoding': 'identity',
    },
  });
}

/** A stream the reader has canceled is closed already. */
function closeQuietly(controller: ReadableStreamDefaultController): void {
  try {
    controller.close();
  } catch {
    // Nothing is left to close.
  }
}

/** An event as it goes over the wire. */
export function encodeEvent({ id, event, data }: StreamEvent): Uint8Array {
  const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`;
  return encoder.encode(`${head}data: ${JSON.stringify(data)}\n\n`);
}

/** Waits for a notice; notices that come while nobody waits count for the next wait. */
export interface Waker {
  notify(): void;
  /** Resolves on a notice, after `timeoutMs`, or when `signal` aborts. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>;
}

export function createWaker(): Waker {
  let isNotified = false;
  let wake = () => {};
  return {
    notify() {
      isNotified = true;
      wake();
    },
    async wait(timeoutMs, signal) {
      if (!isNotified && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const done = () => {
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            resolve();
          };
          const timer = setTimeout(done, timeoutMs);
          signal.addEventListener('abort', done, { once: true });
          wake = done;
        });
      }
      isNotified = false;
    },
  };
}
