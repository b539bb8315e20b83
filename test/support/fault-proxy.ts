import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** What a proxy does to every connection; changed at any time, in force for what arrives from then on. */
export interface Faults {
  /** Added in each direction. */
  readonly delayMs: number;
  /** In each direction and over all connections together; 0 is no limit. */
  readonly bytesPerSecond: number;
  /** Ends a connection once so many bytes went `down` (to the client) or `up` (to the server). */
  readonly cut?: Cut | undefined;
}

export interface Cut {
  readonly direction: 'up' | 'down';
  readonly afterBytes: number;
  /** `stall` keeps both sockets open and passes nothing more. */
  readonly how: 'fin' | 'rst' | 'stall';
  /** How many connections are cut; the others pass. */
  readonly times: number;
}

export interface ProxyCounts {
  readonly connections: number;
  readonly up: number;
  readonly down: number;
}

/** A TCP proxy that makes a network worse. One per server, so that every client passes it under its own `host:port`. */
export interface FaultProxy {
  readonly port: number;
  readonly host: string;
  set(faults: Partial<Faults>): void;
  counts(): ProxyCounts;
  close(): Promise<void>;
}

const calm: Faults = { delayMs: 0, bytesPerSecond: 0 };

/** Serves in this process; `startFaultProxyProcess` gives it an event loop of its own. */
export async function createFaultProxy(
  target: { host: string; port: number },
  initial: Partial<Faults> = {},
): Promise<FaultProxy> {
  const state: State = {
    faults: { ...calm, ...initial },
    cutsLeft: initial.cut?.times ?? 0,
    counts: { connections: 0, up: 0, down: 0 },
    freeAt: { up: 0, down: 0 },
  };
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    state.counts.connections += 1;
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const connection = { client, upstream, isStalled: false };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    relay(state, connection, 'up');
    relay(state, connection, 'down');
  });
  const port = await listen(server);
  return {
    port,
    host: `127.0.0.1:${port}`,
    set(faults) {
      state.faults = { ...state.faults, ...faults };
      if (faults.cut !== undefined) state.cutsLeft = faults.cut.times;
    },
    counts: () => ({ ...state.counts }),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

interface State {
  faults: Faults;
  cutsLeft: number;
  readonly counts: { connections: number; up: number; down: number };
  /** When the link is free again, per direction, on the steady clock. */
  readonly freeAt: { up: number; down: number };
}

interface Connection {
  readonly client: Socket;
  readonly upstream: Socket;
  isStalled: boolean;
}

type Delayed = { readonly at: number; readonly chunk: Buffer | undefined };

/** One direction of one connection: bytes wait in a queue of their own and the sockets are never paused. */
function relay(state: State, connection: Connection, direction: 'up' | 'down'): void {
  const [from, to] =
    direction === 'up' ? [connection.client, connection.upstream] : [connection.upstream, connection.client];
  const queue: Delayed[] = [];
  let timer: NodeJS.Timeout | undefined;
  let passed = 0;

  function flush(): void {
    timer = undefined;
    to.cork();
    while (queue.length > 0 && queue[0]!.at <= performance.now()) deliver(queue.shift()!.chunk);
    to.uncork();
    if (queue.length > 0) timer = setTimeout(flush, Math.max(1, queue[0]!.at - performance.now()));
  }

  function deliver(chunk: Buffer | undefined): void {
    if (connection.isStalled || to.destroyed) return;
    if (chunk === undefined) return void to.end();
    const { cut } = state.faults;
    const isCut = cut?.direction === direction && state.cutsLeft > 0 && passed + chunk.length > cut.afterBytes;
    const passing = isCut ? chunk.subarray(0, Math.max(0, cut.afterBytes - passed)) : chunk;
    passed += passing.length;
    state.counts[direction] += passing.length;
    if (!isCut) return void to.write(passing);
    state.cutsLeft -= 1;
    connection.isStalled = true;
    to.write(passing, () => end(connection, cut.how));
  }

  function enqueue(chunk: Buffer | undefined): void {
    const { delayMs, bytesPerSecond } = state.faults;
    const sentAt =
      Math.max(performance.now(), state.freeAt[direction]) +
      (bytesPerSecond > 0 ? ((chunk?.length ?? 0) / bytesPerSecond) * 1_000 : 0);
    if (bytesPerSecond > 0) state.freeAt[direction] = sentAt;
    queue.push({ at: sentAt + delayMs, chunk });
    timer ??= setTimeout(flush, Math.max(1, sentAt + delayMs - performance.now()));
  }

  from.on('data', enqueue);
  from.on('end', () => enqueue(undefined));
  from.on('error', () => to.destroy());
  from.on('close', () => {
    if (!from.readableEnded) to.destroy();
    if (to.destroyed) clearTimeout(timer);
  });
}

function end(connection: Connection, how: Cut['how']): void {
  const { client, upstream } = connection;
  if (how === 'stall') return;
  for (const socket of [client, upstream]) {
    if (how === 'rst') socket.resetAndDestroy();
    else socket.end(() => socket.destroySoon());
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return address.port;
}
