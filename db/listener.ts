import { Client } from 'pg';

/** Hears the payload of a notice; null after the connection was made anew: notices may have been missed, look for yourself. */
type NoticeHandler = (payload: string | null) => void;

/** One connection that listens for a whole process and hands every notice to whoever asked for its channel. */
export interface Listener {
  /** Answers the function that ends it. */
  on(channel: string, handler: NoticeHandler): () => void;
  /** Connects, and from then on reconnects by itself. Throws when the first connection cannot be had. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface ListenerOptions {
  readonly url: string;
  readonly channels: readonly string[];
  readonly onError: (error: Error) => void;
  /** First wait before connecting again; doubles up to thirty times of it. */
  readonly reconnectMs?: number;
}

/** A listener over one dedicated connection. Notices are hints: every reader also looks by itself now and then. */
export function createListener(options: ListenerOptions): Listener {
  const { channels, onError, reconnectMs = 500 } = options;
  const handlers = new Map<string, Set<NoticeHandler>>(channels.map((channel) => [channel, new Set()]));
  const tell = (channel: string, payload: string | null) => {
    for (const handler of handlers.get(channel) ?? []) handler(payload);
  };
  let client: Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  const connect = async () => {
    const next = new Client({ connectionString: options.url, keepAlive: true, connectionTimeoutMillis: 5_000 });
    next.on('notification', ({ channel, payload }) => tell(channel, payload ?? ''));
    next.on('error', onError);
    next.on('end', () => {
      if (client === next) reconnectIn(reconnectMs);
    });
    try {
      await next.connect();
      for (const channel of channels) await next.query(`listen ${next.escapeIdentifier(channel)}`);
    } catch (error) {
      await next.end().catch(onError);
      throw error;
    }
    if (isStopped) await next.end();
    else client = next;
  };

  const reconnectIn = (waitMs: number) => {
    client = undefined;
    if (isStopped) return;
    timer = setTimeout(() => {
      connect().then(
        () => channels.forEach((channel) => tell(channel, null)),
        (error: unknown) => {
          onError(error instanceof Error ? error : new Error(String(error)));
          reconnectIn(Math.min(waitMs * 2, reconnectMs * 30));
        },
      );
    }, waitMs);
  };

  return {
    on(channel, handler) {
      const set = handlers.get(channel);
      if (set === undefined) throw new Error(`The listener does not listen to "${channel}".`);
      set.add(handler);
      return () => set.delete(handler);
    },
    start: connect,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      const last = client;
      client = undefined;
      await last?.end();
    },
  };
}
