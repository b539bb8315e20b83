import { eventsUrl } from './api.ts';
import { parseStateEvent } from './stream-data.ts';
import type { StateEvent } from './stream-data.ts';

export type LiveStatus = 'connecting' | 'open' | 'lost';

/** The state stream, shared by every tab of the browser. */
export interface Live {
  readonly status: () => LiveStatus;
  /** Calls back on every change; returns the unsubscription. */
  readonly onEvent: (listener: (event: StateEvent) => void) => () => void;
  readonly onStatus: (listener: () => void) => () => void;
  readonly close: () => void;
}

type Message =
  | { readonly kind: 'event'; readonly event: StateEvent }
  | { readonly kind: 'status'; readonly status: LiveStatus }
  | { readonly kind: 'hello' };

const channelName = 'slipway-live';
const retryMs = 2_000;
const retryMaxMs = 30_000;

/**
 * Opens the state stream. HTTP/1.1 allows six connections per host, so one tab of the browser holds the stream (the one that
 * has the lock) and tells the others; when it closes, the next tab takes over. Where the browser has no locks (plain http on
 * another host) every tab holds its own.
 */
export function createLive(url: string = eventsUrl()): Live {
  const eventListeners = new Set<(event: StateEvent) => void>();
  const statusListeners = new Set<() => void>();
  const channel = new BroadcastChannel(channelName);
  const closing = new AbortController();
  let current: LiveStatus = 'connecting';
  let isLeader = false;

  const receive = (message: Message): void => {
    if (message.kind === 'event') for (const listener of eventListeners) listener(message.event);
    if (message.kind === 'status' && message.status !== current) {
      current = message.status;
      for (const listener of statusListeners) listener();
    }
    if (message.kind === 'hello' && isLeader)
      channel.postMessage({ kind: 'status', status: current } satisfies Message);
  };
  const tell = (message: Message): void => {
    if (closing.signal.aborted) return;
    receive(message);
    channel.postMessage(message);
  };
  const lead = async (): Promise<void> => {
    // The lock may be granted in the moment of closing.
    if (closing.signal.aborted) return;
    isLeader = true;
    await holdStream(url, tell, closing.signal);
  };

  channel.addEventListener('message', (event: MessageEvent<Message>) => receive(event.data));
  channel.postMessage({ kind: 'hello' } satisfies Message);
  const held = 'locks' in navigator ? navigator.locks.request(channelName, { signal: closing.signal }, lead) : lead();
  held.catch(() => undefined);

  return {
    status: () => current,
    onEvent: (listener) => subscribe(eventListeners, listener),
    onStatus: (listener) => subscribe(statusListeners, listener),
    close: () => {
      closing.abort();
      channel.close();
    },
  };
}

function subscribe<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Keeps one EventSource open until `signal`. The browser reconnects by itself, except after an answer that is not a stream. */
function holdStream(url: string, tell: (message: Message) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let source: EventSource;
    let delay = retryMs;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const open = (): void => {
      source = new EventSource(url, { withCredentials: true });
      source.addEventListener('open', () => {
        delay = retryMs;
        tell({ kind: 'status', status: 'open' });
      });
      const onState = ({ data }: MessageEvent<string>): void => {
        const event = parseStateEvent(data);
        if (event !== undefined) tell({ kind: 'event', event });
      };
      source.addEventListener('message', onState);
      source.addEventListener('error', () => {
        tell({ kind: 'status', status: 'lost' });
        if (source.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(open, delay);
        delay = Math.min(delay * 2, retryMaxMs);
      });
    };
    open();
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      source.close();
      resolve();
    });
  });
}
