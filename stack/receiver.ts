import { once } from 'node:events';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';

/** What the sample receiver got: one call, exactly as it came. */
export interface ReceivedCall {
  readonly at: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const MAX_BODY_BYTES = 1024 * 1024;
const LISTED_CALLS = 1_000;

/**
 * `node stack/receiver.ts --port <port> --file <file>`: the sample's webhook receiver. It answers every POST with 204, keeps
 * what it got in the file, and lists the last calls, oldest first, at `GET /`: `{items: ReceivedCall[]}`.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { port: { type: 'string' }, file: { type: 'string' } } });
  if (values.port === undefined || values.file === undefined) throw new Error('--port and --file are required');
  const { port, file } = { port: Number(values.port), file: values.file };
  await mkdir(dirname(file), { recursive: true });
  const server = createServer((request, response) => {
    answer(request, response, file).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  server.listen({ host: '127.0.0.1', port });
  await once(server, 'listening');
  process.once('SIGTERM', () => {
    server.close();
    server.closeAllConnections();
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, file: string): Promise<void> {
  if (request.method === 'GET') {
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean).slice(-LISTED_CALLS);
    response.writeHead(200, { 'content-type': 'application/json' }).end(`{"items":[${lines.join(',')}]}`);
    return;
  }
  const body = await readBody(request);
  if (body === undefined) {
    response.writeHead(413).end();
    return;
  }
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
  );
  const call: ReceivedCall = {
    at: new Date().toISOString(),
    method: request.method ?? '',
    path: request.url ?? '',
    headers,
    body,
  };
  await appendFile(file, `${JSON.stringify(call)}\n`, { mode: 0o600 });
  response.writeHead(204).end();
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > MAX_BODY_BYTES) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

await main();
