import type {
  Delivery,
  Instance,
  LogMatches,
  LogPage,
  LogRanges,
  LogSteps,
  Page,
  Problem,
  Run,
  RunEvent,
  RunRecord,
  ScanFinding,
  Session,
} from './api-types.ts';
import type { RecordFilters } from './path-builder.ts';
import type { LogRange } from './log-store.ts';
import { query } from './path-builder.ts';
import { ApiProblem } from './api-problem.ts';

const readTimeoutMs = 20_000;

interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly body?: unknown;
  /** The version the change is made to. */
  readonly ifMatch?: number;
  readonly signal?: AbortSignal | undefined;
  /** For what takes longer than a read. */
  readonly timeoutMs?: number;
}

/** One request; a body makes it JSON. Throws `ApiProblem` for everything but a success. */
export async function send(
  path: string,
  { method = 'GET', body, ifMatch, signal, timeoutMs = readTimeoutMs }: Call = {},
): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') {
    headers['x-requested-with'] = 'slipway-console';
    headers['content-type'] = 'application/json';
  }
  if (ifMatch !== undefined) headers['if-match'] = `"${ifMatch}"`;
  const limit = AbortSignal.timeout(timeoutMs);
  const response = await fetch(path, {
    method,
    headers,
    credentials: 'same-origin',
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    ...(method === 'POST' || method === 'PUT' ? { body: JSON.stringify(body ?? {}) } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    throw new ApiProblem({ status: 0 }, { cause: error });
  });
  if (response.ok) return response;
  throw new ApiProblem(await readProblem(response));
}

async function readProblem(response: Response): Promise<Problem> {
  const requestId = response.headers.get('x-request-id');
  const problem: Partial<Problem> = await readJson<Partial<Problem>>(response).catch(() => ({}));
  return { ...(requestId === null ? {} : { requestId }), ...problem, status: response.status };
}

/** Reads JSON. */
export async function get<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  return readJson(await send(path, { signal }));
}

/** The body of an answer, which is what the route says it is (checked by the compiler in test/console/api-shapes.test.ts). */
export async function readJson<Answer>(response: Response): Promise<Answer> {
  const answer: Answer = JSON.parse(await response.text());
  return answer;
}

/** The rows of one page of the Record list. */
const recordPageSize = 30;

export function listRuns(filters: RecordFilters, signal?: AbortSignal): Promise<Page<Run>> {
  return get(`/v1/runs${query({ limit: recordPageSize, ...filters })}`, signal);
}

export function fetchRun(id: string, signal?: AbortSignal): Promise<RunRecord> {
  return get(`/v1/runs/${encodeURIComponent(id)}`, signal);
}

export function listRunEvents(id: string, signal?: AbortSignal): Promise<Page<RunEvent>> {
  return get(`/v1/runs/${encodeURIComponent(id)}/events?limit=100`, signal);
}

export async function cancelRun(id: string): Promise<void> {
  await send(`/v1/runs/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
}

/** Builds a build's commit again, whole or only the architectures that failed. Answers the new build. */
export async function rebuild(
  build: string,
  architectures: 'all' | 'failed',
): Promise<{ readonly run: string | null }> {
  const answer = await send(`/v1/builds/${encodeURIComponent(build)}/rebuild`, {
    method: 'POST',
    body: { architectures },
  });
  return readJson(answer);
}

export function fetchLog(build: string, range: LogRange, signal?: AbortSignal): Promise<LogPage> {
  return get(`${logPath(build)}${query({ ...range })}`, signal);
}

/** What to look for in a log: a text, errors, or both; and where to begin. */
export interface LogQuestion {
  readonly q?: string;
  readonly only?: 'errors';
  readonly offset?: number;
  readonly limit?: number;
}

export function searchLog(build: string, question: LogQuestion, signal?: AbortSignal): Promise<LogMatches> {
  return get(`${logPath(build)}/search${query({ ...question })}`, signal);
}

export function listLogSteps(build: string, signal?: AbortSignal): Promise<LogSteps> {
  return get(`${logPath(build)}/steps`, signal);
}

/** Where one architecture's lines stand. */
export function listLogRanges(build: string, platform: string, signal?: AbortSignal): Promise<LogRanges> {
  return get(`${logPath(build)}/ranges${query({ platform })}`, signal);
}

/** The log as text; `inline` is shown by the browser instead of saved. */
export function rawLogUrl(build: string, disposition?: 'inline'): string {
  return `${logPath(build)}/raw${query({ disposition })}`;
}

function logPath(build: string): string {
  return `/v1/builds/${encodeURIComponent(build)}/log`;
}

/** The live log after line `after`; the browser's own `Last-Event-ID` continues it from there. */
export function logStreamUrl(build: string, after: number): string {
  return `${logPath(build)}/stream${query({ after })}`;
}

/** One state stream for everything the console shows. */
export function eventsUrl(): string {
  return '/v1/events?topics=runs';
}

export function listFindings(scan: string, cursor: string, signal?: AbortSignal): Promise<Page<ScanFinding>> {
  return get(`/v1/scans/${encodeURIComponent(scan)}/findings${query({ limit: 100, cursor })}`, signal);
}

/** One architecture's report or SBOM, as the engine wrote it. */
export function scanReportUrl(scan: string, file: { format: 'json' | 'cyclonedx'; platform: string }): string {
  return `/v1/scans/${encodeURIComponent(scan)}/report${query(file)}`;
}

export function fetchDelivery(id: string, signal?: AbortSignal): Promise<Delivery> {
  return get(`/v1/deliveries/${encodeURIComponent(id)}`, signal);
}

export async function resendDelivery(id: string): Promise<void> {
  await send(`/v1/deliveries/${encodeURIComponent(id)}/resend`, { method: 'POST' });
}

export function fetchInstance(name: string, signal?: AbortSignal): Promise<Instance> {
  return get(`/v1/instances/${encodeURIComponent(name)}`, signal);
}

/** The administrator's token, or the code of a printed address, which works once. */
export type Login = { readonly token: string } | { readonly code: string };

/** Turns a login into the session cookie. */
export async function signIn(login: Login): Promise<void> {
  await send('/v1/sessions', { method: 'POST', body: login });
}

export function fetchSession(signal?: AbortSignal): Promise<Session> {
  return get('/v1/sessions/current', signal);
}

export async function signOut(): Promise<void> {
  await send('/v1/sessions/current', { method: 'DELETE' });
}
