import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { bareHost, egressRefusal, EgressRefused, type EgressPolicy } from '../../domain/egress.ts';
import { createEgressConnect, type EgressOptions } from './egress.ts';

/** Silence after which a connection counts as lost. */
const idleTimeoutMs = 60_000;
/** What a refused address is answered with; no server of the outside uses it for anything a client of ours asks. */
const refusedStatus = 451;
const refusedWords = 'Refused by the egress rules';

export interface EgressProxyOptions extends Pick<EgressOptions, 'policy' | 'connectTimeoutMs' | 'resolve'> {
  /** Servers the administrator set up, by `host[:port]`: `policy` says where they may be, but any port and plain http will do. */
  readonly own?: { readonly isOwn: (host: string) => boolean; readonly policy: EgressPolicy };
}

/** The egress rules for programs that open their own connections: an HTTP proxy for sockets that somebody else accepts. */
export interface EgressProxyServer {
  /** Answers the requests of one connection. */
  take(socket: Socket): void;
  /** Ends all connections. */
  close(): void;
}

/** The same for programs such as git that reach it on loopback. */
export interface EgressProxy {
  /** For `http.proxy` and the like. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * The proxy tunnels (CONNECT) and forwards plain http, each to an address that was just checked, so that a name which later
 * points inside leads nowhere, nor does a redirect.
 */
export function createEgressProxyServer(options: EgressProxyOptions): EgressProxyServer {
  const { server, sockets } = proxyServer(options);
  return {
    take: (socket) => void server.emit('connection', socket),
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Starts the proxy on a loopback port. */
export async function startEgressProxy(options: EgressProxyOptions): Promise<EgressProxy> {
  const { server, sockets } = proxyServer(options);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The egress proxy has no port.');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Connects a socket to a server of the administrator's, byte for byte, at an address that was just checked. */
export function createEgressRelay(options: Pick<EgressOptions, 'policy' | 'connectTimeoutMs' | 'resolve'>) {
  const connect = createEgressConnect(options);
  return (socket: Socket, target: { readonly host: string; readonly port: number }): void => {
    connect(target).then(
      (upstream) => joinSockets(socket, upstream),
      () => socket.destroy(),
    );
  };
}

function proxyServer(options: EgressProxyOptions): { readonly server: Server; readonly sockets: ReadonlySet<Duplex> } {
  const ways = waysOut(options);
  const sockets = new Set<Duplex>();
  const server = createServer((request, response) => {
    forward(request, response, ways).catch((error: unknown) => refuse(response, error));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('connect', (request, socket, head) => {
    // A client that goes away while we connect raises here.
    socket.on('error', () => socket.destroy());
    tunnel(request, { socket, head, ways }).catch((error: unknown) => {
      socket.end(`HTTP/1.1 ${statusOf(error)} ${wordsOf(error)}\r\nConnection: close\r\n\r\n`);
    });
  });
  return { server, sockets };
}

/** The checked way to a URL. @throws EgressRefused for one that may not be asked for */
type WaysOut = (url: URL) => ReturnType<typeof createEgressConnect>;

function waysOut({ own, ...usual }: EgressProxyOptions): WaysOut {
  const connect = createEgressConnect(usual);
  const ownPolicy: EgressPolicy = { ...(own?.policy ?? usual.policy), ports: 'any', isHttpAllowed: true };
  const connectOwn = createEgressConnect({ ...usual, policy: ownPolicy });
  return (url) => {
    const isOwn = own?.isOwn(url.host) ?? false;
    const refusal = egressRefusal(url, isOwn ? ownPolicy : usual.policy);
    if (refusal !== undefined) throw new EgressRefused(refusal);
    return isOwn ? connectOwn : connect;
  };
}

async function tunnel(
  request: IncomingMessage,
  { socket, head, ways }: { readonly socket: Duplex; readonly head: Buffer; readonly ways: WaysOut },
): Promise<void> {
  const url = new URL(`https://${request.url ?? ''}`);
  const upstream = await ways(url)({ host: bareHost(url), port: Number(url.port || 443) });
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
  upstream.write(head);
  joinSockets(socket, upstream);
}

/** Carries bytes both ways until one side ends or falls silent. */
export function joinSockets(socket: Duplex, upstream: Socket): void {
  upstream.setTimeout(idleTimeoutMs, () => upstream.destroy());
  upstream.on('error', () => socket.destroy());
  upstream.once('close', () => socket.destroy());
  socket.once('close', () => upstream.destroy());
  // It may be gone since we began to connect.
  if (socket.destroyed) upstream.destroy();
  socket.pipe(upstream).pipe(socket);
}

async function forward(request: IncomingMessage, response: ServerResponse, ways: WaysOut): Promise<void> {
  const url = urlOf(request);
  const upstream = await ways(url)({ host: bareHost(url), port: Number(url.port || 80) });
  const { 'proxy-connection': _proxyConnection, ...headers } = request.headers;
  const forwarded = httpRequest(url, {
    method: request.method ?? 'GET',
    headers: { ...headers, host: url.host, connection: 'close' },
    createConnection: () => upstream,
    timeout: idleTimeoutMs,
  });
  forwarded.once('timeout', () => forwarded.destroy());
  forwarded.once('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  forwarded.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
    answer.once('error', () => response.destroy());
  });
  response.once('close', () => forwarded.destroy());
  request.pipe(forwarded);
}

/** A proxy is asked with the whole address; a client that takes us for the server itself names that in `Host`. */
function urlOf({ url = '', headers }: IncomingMessage): URL {
  return new URL(url.startsWith('/') ? `http://${headers.host ?? ''}${url}` : url);
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(statusOf(error), wordsOf(error), { connection: 'close' }).end();
}

/** Programs show the words of an answer to CONNECT, and nothing else of it. */
function wordsOf(error: unknown): string {
  return error instanceof EgressRefused ? refusedWords : 'Not reached';
}

function statusOf(error: unknown): number {
  return error instanceof EgressRefused ? refusedStatus : 502;
}
