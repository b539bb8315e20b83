import { createReadStream, existsSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import type { FieldError } from '../../domain/errors.ts';

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** A stream of server-sent events that stays open. */
export function openStream(response: ServerResponse, streams: Set<ServerResponse> | undefined): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write('retry: 200\n\n');
  streams?.add(response);
  response.on('close', () => streams?.delete(response));
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

export function sendProblem(
  response: ServerResponse,
  status: number,
  code: string,
  detail: string,
  errors: readonly FieldError[] = [],
): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ type: `/docs/errors/${code}`, title: code, status, code, detail, errors }));
}

/** A built file, or the page for every address of the console. */
export function answerFile(consoleDir: string, response: ServerResponse, path: string): void {
  const file = join(consoleDir, path === '/' ? 'index.html' : path);
  const served = extname(file) !== '' && existsSync(file) ? file : join(consoleDir, 'index.html');
  response.writeHead(200, { 'content-type': contentTypes[extname(served)] ?? 'application/octet-stream' });
  createReadStream(served).pipe(response);
}
