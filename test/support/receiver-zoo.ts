import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { SelfSigned } from './certificate.ts';

export interface ReceivedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A receiver with one path per habit of receivers that one meets. */
export interface ReceiverZoo {
  /** `http://127.0.0.1:<port>`, or `https://` with a certificate. */
  readonly url: string;
  readonly port: number;
  /** What came in so far, oldest first. */
  readonly received: readonly ReceivedRequest[];
  /** Ends once `count` requests have come in. */
  waitFor(count: number): Promise<readonly ReceivedRequest[]>;
  /** The most requests that were under way at one time. */
  readonly mostAtOnce: () => number;
  /** Bytes of endless bodies written so far. */
  readonly floodedBytes: () => number;
  close(): Promise<void>;
}

const gigabyte = 1024 ** 3;

export async function openReceiverZoo({ tls }: { tls?: SelfSigned } = {}): Promise<ReceiverZoo> {
  const received: ReceivedRequest[] = [];
  const waiting = new Set<() => void>();
  let floodedBytes = 0;
  let underWay = 0;
  let mostAtOnce = 0;
  const habits: Readonly<
    Record<string, (response: ServerResponse, request: IncomingMessage, argument: string) => void>
  > = {
    status: (response, _request, status) => void response.writeHead(Number(status)).end(`status ${status}`),
    slow: (response, _request, ms) => void setTimeout(() => response.end('at last'), Number(ms)),
    stall: () => undefined,
    redirect: (response) => void response.writeHead(302, { location: '/status/200' }).end(),
    busy: (response, _request, after) =>
      void response.writeHead(429, { 'retry-after': decodeURIComponent(after) }).end(),
    echo: (response, request) => void response.writeHead(400, request.headers).end(received.at(-1)?.body),
    headers: (response, request) =>
      void response
        .writeHead(400, { 'set-cookie': 'session=receiver', 'x-echo': request.headers['authorization'] ?? '' })
        .end(JSON.stringify({ said: request.headers, url: request.url })),
    reset: (_response, request) => void request.socket.resetAndDestroy(),
    hangUp: (_response, request) => void request.socket.end(),
    garbage: (_response, request) => void request.socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
    cut: (_response, request) => void request.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this'),
    nul: (response) => void response.writeHead(500).end('a\0b'),
    flood: (response) => {
      response.writeHead(200, { 'content-length': String(gigabyte) });
      const chunk = Buffer.alloc(16 * 1024, 'x');
      function more(): void {
        if (response.destroyed || floodedBytes >= gigabyte) return;
        floodedBytes += chunk.length;
        response.write(chunk, more);
      }
      more();
    },
    trickle: (response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('.'), 10);
      response.once('close', () => clearInterval(timer));
    },
  };
  const onRequest: RequestListener = (request, response) => {
    mostAtOnce = Math.max(mostAtOnce, (underWay += 1));
    response.once('close', () => (underWay -= 1));
    void readBody(request).then((body) => {
      received.push({ path: request.url ?? '', headers: plainHeaders(request), body });
      for (const wake of waiting) wake();
      const [, habit = '', argument = ''] = new URL(request.url ?? '', 'http://zoo').pathname.split('/');
      (habits[habit] ?? habits['status'])?.(response, request, habit in habits ? argument : '404');
    });
  };
  const server =
    tls === undefined ? createServer(onRequest) : createTlsServer({ key: tls.key, cert: tls.certificate }, onRequest);
  const port = await listen(server);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    received,
    mostAtOnce: () => mostAtOnce,
    floodedBytes: () => floodedBytes,
    async waitFor(count) {
      while (received.length < count) {
        await new Promise<void>((resolve) => {
          const wake = () => (waiting.delete(wake), resolve());
          waiting.add(wake);
        });
      }
      return received;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The receiver has no port.');
  return address.port;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function plainHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]),
  );
}
