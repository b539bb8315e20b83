import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { egressRefusal, EgressRefused, type EgressPolicy } from '../../domain/egress.ts';
import { createEgressConnect, type EgressOptions } from './egress.ts';

/** Silence after which a connection counts as lost. */
const idleTimeoutMs = 60_000;
/** What a refused address is answered with; no server of the outside uses it for anything a client of ours asks. */
const refusedStatus = 451;

/** The egress rules for programs that open their own connections, such as git: an HTTP proxy on loopback. */
export interface EgressProxy {
  /** For `http.proxy` and the like. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Starts the proxy. It tunnels (CONNECT) and forwards plain http, each to an address that was just checked, so that a name which
 * later points inside leads nowhere, nor does a redirect.
 */
export async function startEgressProxy(
  options: Pick<EgressOptions, 'policy' | 'connectTimeoutMs' | 'resolve'>,
): Promise<EgressProxy> {
  const { policy } = options;
  const connect = createEgressConnect(options);
  const sockets = new Set<Duplex>();
  const server = createServer((request, response) => {
    forward(request, response, { policy, connect }).catch((error: unknown) => refuse(response, error));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('connect', (request, socket, head) => {
    // A client that goes away while we connect raises here.
    socket.on('error', () => socket.destroy());
    tunnel(request, { socket, head, policy, connect }).catch((error: unknown) => {
      socket.end(`HTTP/1.1 ${statusOf(error)} Refused\r\nConnection: close\r\n\r\n`);
    });
  });
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

interface Way {
  readonly policy: EgressPolicy;
  readonly connect: ReturnType<typeof createEgressConnect>;
}

async function tunnel(
  request: IncomingMessage,
  { socket, head, policy, connect }: Way & { readonly socket: Duplex; readonly head: Buffer },
): Promise<void> {
  const url = new URL(`https://${request.url ?? ''}`);
  checkUrl(url, policy);
  const upstream = await connect({ host: url.hostname, port: Number(url.port || 443) });
  upstream.setTimeout(idleTimeoutMs, () => upstream.destroy());
  upstream.on('error', () => socket.destroy());
  upstream.once('close', () => socket.destroy());
  socket.once('close', () => upstream.destroy());
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
  upstream.write(head);
  socket.pipe(upstream).pipe(socket);
}

async function forward(request: IncomingMessage, response: ServerResponse, { policy, connect }: Way): Promise<void> {
  const url = new URL(request.url ?? '');
  checkUrl(url, policy);
  const upstream = await connect({ host: url.hostname, port: Number(url.port || 80) });
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

/** The form of the address; where it leads is checked by `connect`. */
function checkUrl(url: URL, policy: EgressPolicy): void {
  const refusal = egressRefusal(url, policy);
  if (refusal !== undefined) throw new EgressRefused(refusal);
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(statusOf(error), { connection: 'close' }).end();
}

function statusOf(error: unknown): number {
  return error instanceof EgressRefused ? refusedStatus : 502;
}
