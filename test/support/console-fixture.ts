import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LogLine, Run } from '../../console/src/api-types.ts';
import { isErrorLine } from '../../domain/log-text.ts';
import { fixtureDelivery, fixtureFindings, fixtureLog, fixtureSteps } from './console-fixture-data.ts';
import { answerFile, openStream, sendJson, sendProblem } from './console-fixture-http.ts';
import { answerRepository, createRepositories } from './console-fixture-repository.ts';
import type { Repositories } from './console-fixture-repository.ts';
import type { Sources } from './console-fixture-source.ts';
import { fixtureRuns } from './console-fixture-runs.ts';
import { fixtureEvents, fixtureFence } from './console-fixture-trail.ts';

/** A stand-in for the API with made-up Records: serves the built console and what it asks for, state and log streams too. */
export interface ConsoleFixture {
  readonly url: string;
  readonly token: string;
  readonly runs: Run[];
  /** Source accounts, bindings and events, as a test sets them. */
  readonly sources: Sources;
  /** Requests so far, `METHOD path`. */
  readonly requests: readonly string[];
  /** Tells every stream that this run changed. */
  readonly announce: (run: Run) => void;
  /** Adds lines to a running build's log and streams them. */
  readonly appendLog: (build: string, texts: readonly string[]) => void;
  /** Tells how far a step of a running build has come. */
  readonly tellProgress: (build: string, text: string) => void;
  /** Ends every open stream, as a restarting server does; `isDown` refuses new ones too. */
  readonly dropStreams: (options?: { isDown: boolean }) => void;
  readonly close: () => Promise<void>;
}

const contentSecurityPolicy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
const token = 'fixture-token';

/** Starts the stand-in on a free port of loopback. `consoleDir` holds the built console. */
export async function createConsoleFixture({
  consoleDir,
  logLines = {},
}: {
  consoleDir: string;
  /** How many lines a build's log has at first, by the build's id. */
  logLines?: Readonly<Record<string, number>>;
}): Promise<ConsoleFixture> {
  const state = createState(logLines);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://fixture');
    state.requests.push(`${request.method ?? ''} ${url.pathname}`);
    response.setHeader('content-security-policy', contentSecurityPolicy);
    response.setHeader('x-request-id', `req-${state.requests.length}`);
    if (url.pathname.startsWith('/v1/')) answerApi(state, request, response, url);
    else answerFile(consoleDir, response, url.pathname);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('The fixture has no port.');
  return {
    url: `http://127.0.0.1:${address.port}`,
    token,
    runs: state.runs,
    sources: state.repositories.sources,
    requests: state.requests,
    announce: (run) => {
      state.version += 1;
      const event = { topic: `run:${run.id}`, type: 'run.changed', id: run.id, version: state.version };
      for (const stream of state.eventStreams)
        if (!stream.writableEnded) stream.write(`id: ${state.version}\ndata: ${JSON.stringify(event)}\n\n`);
    },
    appendLog: (build, texts) => appendLog(state, build, texts),
    tellProgress: (build, text) => {
      const data = JSON.stringify({ platform: 'linux/arm64', step: 7, text });
      for (const [stream, of] of state.logStreams) if (of === build) stream.write(`event: progress\ndata: ${data}\n\n`);
    },
    dropStreams: ({ isDown } = { isDown: false }) => {
      state.areStreamsDown = isDown;
      for (const stream of [...state.eventStreams, ...state.logStreams.keys()]) stream.end();
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

interface State {
  readonly repositories: Repositories;
  readonly runs: Run[];
  readonly requests: string[];
  readonly logs: Map<string, LogLine[]>;
  readonly eventStreams: Set<ServerResponse>;
  readonly logStreams: Map<ServerResponse, string>;
  version: number;
  areStreamsDown: boolean;
}

function createState(logLines: Readonly<Record<string, number>>): State {
  const runs = fixtureRuns();
  const builds = runs.flatMap(({ build }) => (typeof build === 'string' ? [build] : []));
  const lengths: Readonly<Record<string, number>> = { 'build-run-success': 3_412, 'build-run-failed': 58, ...logLines };
  const logs = new Map(builds.map((build) => [build, fixtureLog(build, lengths[build] ?? 96)]));
  return {
    repositories: createRepositories(),
    runs,
    requests: [],
    logs,
    eventStreams: new Set(),
    logStreams: new Map(),
    version: 1,
    areStreamsDown: false,
  };
}

function answerApi(state: State, request: IncomingMessage, response: ServerResponse, url: URL): void {
  const path = url.pathname.slice('/v1'.length);
  const method = request.method ?? 'GET';
  if (path === '/sessions' && method === 'POST') return logIn(request, response);
  if (!(request.headers.cookie ?? '').includes('sid=')) {
    return sendProblem(response, 401, 'auth.required', 'Nobody is logged in. Log in, then try again.');
  }
  if (path === '/sessions/current') {
    if (method === 'GET')
      return sendJson(response, 200, { actor: 'administrator', expiresAt: '2026-11-22T01:40:00.000Z' });
    response.setHeader('set-cookie', 'sid=; Max-Age=0; Path=/');
    response.writeHead(204).end();
    return undefined;
  }
  if (state.areStreamsDown && /events$|stream$/.test(path) && !path.startsWith('/runs')) {
    return sendProblem(response, 503, 'internal', 'The server is stopping. Try again in a moment.');
  }
  if (path === '/events') return openStream(response, state.eventStreams);
  if (path === '/runs') return sendJson(response, 200, listRuns(state, url.searchParams));
  const [, thing = '', id = '', ...rest] = path.split('/');
  const act = rest.join('/');
  if (thing === 'runs') return answerRun(state, response, { id, act, method });
  if (['repositories', 'build-rules', 'source-accounts'].includes(thing) || act.startsWith('source-accounts')) {
    return answerRepository(state.repositories, request, response, { thing, id, act, query: url.searchParams });
  }
  if (thing === 'builds' && method === 'POST')
    return sendJson(response, 202, { id: 'build-run-running', run: 'run-running' });
  if (thing === 'builds') return answerLog(state, request, response, { build: id, act, query: url.searchParams });
  if (thing === 'scans') return answerScan(response, { scan: id, act, query: url.searchParams });
  if (thing === 'deliveries')
    return method === 'POST' ? sendJson(response, 202, {}) : sendJson(response, 200, fixtureDelivery(id));
  if (thing === 'instances') {
    const named = { id: 'cri-1', region: 'cn-hangzhou', registryUrl: 'https://hangzhou-registry.example.test' };
    if (id === '') return sendJson(response, 200, { items: [{ ...named, name: 'hangzhou' }], nextCursor: null });
    return sendJson(response, 200, { ...named, name: id });
  }
  return sendProblem(response, 404, 'request.not_found', `There is nothing at ${url.pathname}. Check the path.`);
}

function logIn(request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
  request.on('end', () => {
    const login: { token?: string; code?: string } = JSON.parse(body);
    if (login.token !== token && login.code !== 'once') {
      return sendProblem(response, 401, 'auth.token_unknown', 'The token is not known. Copy it whole and try again.');
    }
    response.setHeader('set-cookie', 'sid=1; HttpOnly; SameSite=Lax; Path=/');
    return sendJson(response, 201, { actor: 'administrator', expiresAt: '2026-11-22T01:40:00.000Z' });
  });
}

const pageSize = 30;

function listRuns(state: State, query: URLSearchParams): unknown {
  const offset = Number(query.get('cursor') ?? 0);
  const found = state.runs.filter(
    (run) =>
      matches(query, 'result', run.result) &&
      matches(query, 'repository', `${run.repository.namespace}/${run.repository.name}`) &&
      matches(query, 'ref', run.source?.ref) &&
      (run.source?.commit ?? '').startsWith(query.get('commit') ?? '') &&
      (!query.has('tag') || run.images.some(({ tag }) => tag === query.get('tag'))),
  );
  const next = offset + pageSize;
  return { items: found.slice(offset, next), nextCursor: next < found.length ? String(next) : null };
}

function matches(query: URLSearchParams, name: string, value: string | null | undefined): boolean {
  return !query.has(name) || query.get(name) === value;
}

function answerRun(
  state: State,
  response: ServerResponse,
  { id, act, method }: { id: string; act: string; method: string },
): void {
  const at = state.runs.findIndex((run) => run.id === id);
  const run = state.runs[at];
  if (run === undefined) {
    return sendProblem(response, 404, 'run.not_found', `There is no run "${id}", or you may not see it. Check the id.`);
  }
  if (act === 'events') return sendJson(response, 200, { items: fixtureEvents(run), nextCursor: null });
  if (act !== 'cancel' || method !== 'POST') return sendJson(response, 200, { ...run, tagFence: fixtureFence(run) });
  state.runs[at] = { ...run, status: 'canceling' };
  return sendJson(response, 202, state.runs[at]);
}

interface LogCall {
  readonly build: string;
  readonly act: string;
  readonly query: URLSearchParams;
}

function answerLog(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
  { build, act, query }: LogCall,
): void {
  const lines = state.logs.get(build) ?? [];
  const head = { lines: lines.length, ended: !isRunning(state, build), removed: false };
  if (act === 'log/search') {
    const wanted = (query.get('q') ?? '').toLowerCase();
    const items = lines.filter(
      ({ line, text }) =>
        line > Number(query.get('offset') ?? 0) &&
        text.toLowerCase().includes(wanted) &&
        (query.get('only') !== 'errors' || isErrorLine(text)),
    );
    return sendJson(response, 200, { items, nextOffset: null, ...head });
  }
  if (act === 'log/steps') return sendJson(response, 200, { items: fixtureSteps(lines), ...head });
  if (act === 'log/ranges') {
    const items = lines.filter(({ platform }) => platform === query.get('platform'));
    return sendJson(response, 200, { items: items.map(({ line }) => ({ line, lines: 1 })), ...head });
  }
  if (act === 'log/raw') {
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.end(lines.map(({ text }) => `${text}\n`).join(''));
    return undefined;
  }
  if (act === 'log/stream') {
    const after = Number(request.headers['last-event-id'] ?? query.get('after') ?? 0);
    openStream(response, undefined);
    state.logStreams.set(response, build);
    response.on('close', () => state.logStreams.delete(response));
    return writeLines(response, lines.slice(after));
  }
  const tail = query.get('tail');
  const offset = tail === null ? Number(query.get('offset') ?? 0) : Math.max(0, lines.length - Number(tail));
  const limit = Number(tail ?? query.get('limit') ?? 100);
  return sendJson(response, 200, { items: lines.slice(offset, offset + limit), ...head });
}

function isRunning(state: State, build: string): boolean {
  return state.runs.some((run) => run.build === build && run.steps[0]?.state === 'running');
}

function appendLog(state: State, build: string, texts: readonly string[]): void {
  const lines = state.logs.get(build) ?? [];
  const added = texts.map((text, index) => ({
    line: lines.length + index + 1,
    time: new Date().toISOString(),
    stage: 'build',
    platform: 'linux/arm64',
    text,
  }));
  state.logs.set(build, [...lines, ...added]);
  for (const [stream, of] of state.logStreams) if (of === build) writeLines(stream, added);
}

function writeLines(stream: ServerResponse, lines: readonly LogLine[]): void {
  const last = lines.at(-1);
  if (last !== undefined && !stream.writableEnded)
    stream.write(`id: ${last.line}\ndata: ${JSON.stringify({ items: lines })}\n\n`);
}

interface ScanCall {
  readonly scan: string;
  readonly act: string;
  readonly query: URLSearchParams;
}

function answerScan(response: ServerResponse, { scan, act, query }: ScanCall): void {
  if (act !== 'findings') return sendJson(response, 200, {});
  const offset = Number(query.get('cursor') ?? 0);
  const all = fixtureFindings(scan);
  const next = offset + Number(query.get('limit') ?? 20);
  return sendJson(response, 200, {
    items: all.slice(offset, next),
    nextCursor: next < all.length ? String(next) : null,
  });
}
