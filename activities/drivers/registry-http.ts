import { Readable } from 'node:stream';
import { request, type Dispatcher } from 'undici';
import { readUpTo } from './egress.ts';
import {
  createRegistryAuth,
  type RegistryAccess,
  type RegistryAuth,
  type RegistryCredentials,
} from './registry-auth.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { brokenProtocol, errorFromAnswer, errorFromFailure, isTransientStatus } from './registry-errors.ts';
import { defaultRetryPolicy, retrying, type RetryPolicy } from './registry-retry.ts';

/** Where a registry is and how it is trusted. */
export interface RegistryEndpoint {
  /** `http://host:port` or `https://host[:port]`; a path is not allowed. */
  readonly url: string;
  /** Plain http, also for its token server. Needed when `url` is `http:`. */
  readonly isInsecure?: boolean;
  /** The token server's URL when it is under another registrable domain (docs/product.md, section 2). */
  readonly tokenServer?: string;
}

export interface RegistryLimits {
  /** One request with a small answer, from the first packet to the last. */
  readonly requestTimeoutMs: number;
  /** Silence in a blob's transfer. */
  readonly idleTimeoutMs: number;
  readonly retry: RetryPolicy;
}

export interface RegistryHttpOptions {
  readonly endpoint: RegistryEndpoint;
  readonly credentials?: RegistryCredentials | undefined;
  /** The guarded way out (`createEgress`). */
  readonly dispatcher: Dispatcher;
  readonly limits?: Partial<RegistryLimits> | undefined;
}

/** Given to every call of the client. */
export interface CallOptions {
  readonly signal: AbortSignal;
  /** Hears of every 429, 5xx and lost connection that is tried again, so that a copy can slow down. */
  readonly onRetry?: ((error: RegistryError) => void) | undefined;
}

export interface RegistryRequest extends CallOptions {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** A path from `/v2/` on, or a whole URL the registry named. */
  readonly target: string | URL;
  readonly access: readonly RegistryAccess[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** The statuses the caller can use; every other one becomes a `RegistryError`. */
  readonly expect: readonly number[];
  /** Blob downloads only. */
  readonly isRedirectFollowed?: boolean;
}

export interface RegistryAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
}
export type StreamedAnswer = RegistryAnswer & { readonly body: Dispatcher.ResponseData['body'] };
export type ReadAnswer = RegistryAnswer & { readonly bytes: Buffer };

/** HTTP towards one registry: tokens, retries, redirects, time and size limits. */
export interface RegistryHttp {
  readonly origin: URL;
  readonly limits: RegistryLimits;
  /** A small request and its whole answer, tried again as the policy says. */
  read(input: RegistryRequest & { readonly maxBytes?: number }): Promise<ReadAnswer>;
  /** One try of a request whose body or answer is a stream; only silence is bounded in time. */
  stream(input: RegistryRequest): Promise<StreamedAnswer>;
}

const defaultLimits: RegistryLimits = { requestTimeoutMs: 60_000, idleTimeoutMs: 60_000, retry: defaultRetryPolicy };
const smallAnswerBytes = 64 * 1024;
const redirectStatuses = [301, 302, 303, 307, 308];
const maxRedirects = 5;
const readAheadBytes = 256 * 1024;

export function createRegistryHttp(options: RegistryHttpOptions): RegistryHttp {
  const origin = checkedOrigin(options.endpoint);
  const limits = { ...defaultLimits, ...options.limits };
  const wire = { origin, limits, dispatcher: options.dispatcher, isInsecure: options.endpoint.isInsecure ?? false };
  const auth = createRegistryAuth({
    registry: origin,
    isInsecure: wire.isInsecure,
    tokenServer: options.endpoint.tokenServer,
    credentials: options.credentials,
    fetchToken: (url, headers) => fetchToken(wire, url, headers),
  });

  const read: RegistryHttp['read'] = ({ maxBytes = smallAnswerBytes, ...input }) =>
    retrying(
      async () => {
        const signal = AbortSignal.any([input.signal, AbortSignal.timeout(limits.requestTimeoutMs)]);
        return whole(await authorized(wire, auth, { ...input, signal }), { input, maxBytes });
      },
      { policy: limits.retry, signal: input.signal, onRetry: input.onRetry },
    );

  return {
    origin,
    limits,
    read,
    async stream(input) {
      try {
        return await authorized(wire, auth, input);
      } catch (error) {
        input.signal.throwIfAborted();
        throw error;
      }
    },
  };
}

interface Wire {
  readonly origin: URL;
  readonly limits: RegistryLimits;
  readonly dispatcher: Dispatcher;
  readonly isInsecure: boolean;
}

function checkedOrigin({ url, isInsecure }: RegistryEndpoint): URL {
  const origin = new URL(url);
  const isSecure = origin.protocol === 'https:' || (origin.protocol === 'http:' && isInsecure === true);
  if (isSecure && origin.pathname === '/' && origin.search === '' && origin.username === '') return origin;
  throw new RegistryError(
    `The registry address ${origin.protocol}//${origin.host}${origin.pathname} cannot be used: it must be https (http only where the registry is marked insecure), without user name, path or query.`,
    { issue: 'internal_error', isPermanent: true },
  );
}

/** A request under the current token; a refused token is renewed once. */
async function authorized(wire: Wire, auth: RegistryAuth, input: RegistryRequest): Promise<StreamedAnswer> {
  const authorization = await auth.authorization(input.access, input.signal);
  const answer = await followed(wire, input, authorization);
  if (answer.status !== 401) return expected(answer, input);

  const refusal = await refused(answer, input);
  if (!auth.learn(String(answer.headers['www-authenticate'] ?? ''), authorization)) throw refusal;
  if (isOneShot(input.body)) throw spentBody(input);
  return expected(await followed(wire, input, await auth.authorization(input.access, input.signal)), input);
}

/** Streams may read a little ahead: the socket never waits for the next chunk of the source. */
function sendable(body: RegistryRequest['body']): Uint8Array | Readable | null {
  if (body === undefined) return null;
  return body instanceof Uint8Array ? body : Readable.from(body, { objectMode: false, highWaterMark: readAheadBytes });
}

function isOneShot(body: RegistryRequest['body']): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}

/** A streamed body cannot be sent twice; its owner starts it again and finds the new token. */
function spentBody(input: RegistryRequest): RegistryError {
  return new RegistryError(`${input.method} was refused by an old token; it is sent again under a new one.`, {
    issue: 'unauthorized',
    isPermanent: false,
    status: 401,
  });
}

async function followed(
  wire: Wire,
  input: RegistryRequest,
  authorization: string | undefined,
): Promise<StreamedAnswer> {
  let url = typeof input.target === 'string' ? new URL(input.target, wire.origin) : input.target;
  for (let hop = 0; hop <= maxRedirects; hop += 1) {
    const answer = await once(wire, url, { input, authorization });
    const location = answer.headers['location'];
    if (input.isRedirectFollowed !== true || !redirectStatuses.includes(answer.status) || typeof location !== 'string')
      return answer;
    await answer.body.dump();
    url = new URL(location, url);
  }
  throw brokenProtocol(`${describe(input.method, url)} was redirected more than ${maxRedirects} times.`);
}

interface Sending {
  readonly input: RegistryRequest;
  readonly authorization: string | undefined;
}

async function once(wire: Wire, url: URL, { input, authorization }: Sending): Promise<StreamedAnswer> {
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && wire.isInsecure)) {
    throw new RegistryError(
      `${describe(input.method, url)} was not sent: the registry ${wire.origin.host} led away from https.`,
      {
        issue: 'internal_error',
        isPermanent: true,
      },
    );
  }
  // Another scheme, host or port gets no credentials of ours.
  const own = authorization !== undefined && url.origin === wire.origin.origin ? { authorization } : {};
  try {
    const answer = await request(url, {
      dispatcher: wire.dispatcher,
      method: input.method,
      headers: { ...input.headers, ...own },
      body: sendable(input.body),
      signal: input.signal,
      headersTimeout: wire.limits.idleTimeoutMs,
      bodyTimeout: wire.limits.idleTimeoutMs,
      // undici closes a socket after each HEAD unless told that this server can be trusted with them.
      reset: false,
    });
    return { status: answer.statusCode, headers: answer.headers, url, body: answer.body };
  } catch (error) {
    throw errorFromFailure(error, describe(input.method, url));
  }
}

async function expected(answer: StreamedAnswer, input: RegistryRequest): Promise<StreamedAnswer> {
  if (input.expect.includes(answer.status)) return answer;
  throw await refused(answer, input);
}

async function refused(
  { status, headers, url, body }: StreamedAnswer,
  { method }: RegistryRequest,
): Promise<RegistryError> {
  const what = describe(method, url);
  return errorFromAnswer({ what, status, headers, body: await readWhole(body, { maxBytes: smallAnswerBytes, what }) });
}

async function whole(
  answer: StreamedAnswer,
  { input, maxBytes }: { input: RegistryRequest; maxBytes: number },
): Promise<ReadAnswer> {
  const what = describe(input.method, answer.url);
  const bytes = await readWhole(answer.body, { maxBytes, what });
  return { status: answer.status, headers: answer.headers, url: answer.url, bytes };
}

async function readWhole(
  stream: AsyncIterable<Buffer>,
  { maxBytes, what }: { maxBytes: number; what: string },
): Promise<Buffer> {
  const { body, isTruncated } = await readUpTo(stream, maxBytes).catch((error: unknown) => {
    throw errorFromFailure(error, what);
  });
  if (isTruncated) throw tooLong(what, maxBytes);
  return body;
}

function tooLong(what: string, maxBytes: number): RegistryError {
  return new RegistryError(`${what} was answered with more than ${maxBytes} bytes.`, {
    issue: 'data_length_exceeded',
    isPermanent: true,
  });
}

/** Shared by all who wait for the token, so it lives by its own clock. Redirects count as "no token". */
async function fetchToken(
  wire: Wire,
  url: URL,
  headers: Record<string, string>,
): Promise<{ status: number; bytes: Buffer }> {
  const signal = AbortSignal.timeout(wire.limits.requestTimeoutMs);
  const what = describe('GET', url);
  async function attempt(): Promise<{ status: number; bytes: Buffer }> {
    const answer = await request(url, { dispatcher: wire.dispatcher, headers, signal }).catch((error: unknown) => {
      throw errorFromFailure(error, what);
    });
    const bytes = await readWhole(answer.body, { maxBytes: smallAnswerBytes, what });
    if (isTransientStatus(answer.statusCode)) {
      throw errorFromAnswer({ what, status: answer.statusCode, headers: answer.headers, body: bytes });
    }
    return { status: answer.statusCode, bytes };
  }
  return retrying(attempt, { policy: wire.limits.retry, signal }).catch((error: unknown) => {
    throw errorFromFailure(error, what);
  });
}

/** Names a request in errors. Queries stay out: upload states and signed download links are secrets. */
function describe(method: string, url: URL): string {
  return `${method} ${url.host}${url.pathname}`;
}
