import { createHmac } from 'node:crypto';
import { EgressRefused } from '../../domain/egress.ts';
import { limits } from '../../domain/limits.ts';
import { maskText } from '../../domain/mask.ts';
import type { AttemptError } from '../../domain/trigger.ts';
import type { Egress } from './egress.ts';

/** One signed request, and how it is kept: what may be a secret is hidden. */
export interface WebhookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As `headers`, the user's own values hidden. */
  readonly storedHeaders: Readonly<Record<string, string>>;
  readonly body: string;
  /** Hidden wherever the receiver says them back. */
  readonly secrets: readonly string[];
}

export interface WebhookInput {
  readonly url: string;
  /** Without `.`; the same over retries and resends. */
  readonly webhookId: string;
  /** Of this attempt. */
  readonly at: Date;
  readonly body: string;
  /** `whsec_<base64>`; while a key is rotated, the new one and the old one. */
  readonly keys: readonly string[];
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

/** How a request ended. Without an answer, `errorClass` says why. Headers and body are cut and free of our secrets. */
export interface WebhookOutcome {
  readonly statusCode: number | null;
  readonly errorClass: AttemptError | null;
  readonly durationMs: number;
  readonly responseHeaders: Readonly<Record<string, string>> | null;
  readonly responseBody: string | null;
  /** Of `Retry-After`, from now. */
  readonly retryAfterMs: number | null;
}

/** Calls receivers in the form of Standard Webhooks (docs/product.md, section 11). */
export interface WebhookSender {
  /** Builds and signs the request of one attempt. */
  webhookPrepare(input: WebhookInput): WebhookRequest;
  /** Sends it once; redirects are not followed. Every answer and every failure is an outcome; only an abort of `signal` throws. */
  webhookSend(
    request: WebhookRequest,
    options: { readonly caCertificate: string | null; readonly signal: AbortSignal },
  ): Promise<WebhookOutcome>;
}

export interface WebhookSenderOptions {
  /** A guarded way out for one attempt: its name is resolved and its address checked anew. `ca` (PEM) is what it trusts. */
  readonly openEgress: (options: { readonly ca?: string }) => Egress;
  readonly clock: () => Date;
  readonly timeoutMs?: number;
}

const totalTimeoutMs = 15_000;
const storedHeaders = 50;
const storedHeaderLength = 1_024;
const hidden = '***';

export function createWebhookSender({
  openEgress,
  clock,
  timeoutMs = totalTimeoutMs,
}: WebhookSenderOptions): WebhookSender {
  return {
    webhookPrepare,
    async webhookSend(request, { caCertificate, signal }) {
      const egress = openEgress(caCertificate === null ? {} : { ca: caCertificate });
      const startedAt = performance.now();
      const elapsedMs = () => Math.round(performance.now() - startedAt);
      try {
        const answer = await egress.request({
          method: 'POST',
          url: request.url,
          headers: request.headers,
          body: request.body,
          signal,
          timeoutMs,
          maxBytes: limits.triggerReadBytes,
        });
        return {
          statusCode: answer.status,
          errorClass: null,
          durationMs: elapsedMs(),
          responseHeaders: headersToStore(answer.headers, request.secrets),
          responseBody: bodyToStore(answer.body, request.secrets),
          retryAfterMs: retryAfterOf(answer.headers['retry-after'], clock()),
        };
      } catch (error) {
        signal.throwIfAborted();
        return { ...noAnswer, errorClass: attemptErrorOf(error), durationMs: elapsedMs() };
      } finally {
        await egress.close();
      }
    },
  };
}

const noAnswer = { statusCode: null, responseHeaders: null, responseBody: null, retryAfterMs: null } as const;

function webhookPrepare({ url, webhookId, at, body, keys, headers }: WebhookInput): WebhookRequest {
  const timestamp = Math.floor(at.getTime() / 1000);
  const own = {
    'content-type': 'application/json',
    'user-agent': 'Slipway',
    'webhook-id': webhookId,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': keys.map((key) => signature(key, `${webhookId}.${timestamp}.${body}`)).join(' '),
  };
  const named = (value: (header: { value: string }) => string) =>
    Object.fromEntries(headers.map((header) => [header.name.toLowerCase(), value(header)]));
  return {
    url,
    headers: { ...named(({ value }) => value), ...own },
    storedHeaders: { ...named(() => hidden), ...own },
    body,
    secrets: [...headers.flatMap(({ value }) => secretsOfHeader(value)), ...secretsOfUrl(url), ...keys],
  };
}

function signature(key: string, content: string): string {
  const bytes = Buffer.from(key.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', bytes).update(content).digest('base64')}`;
}

/** Receivers often say back the token without its scheme. */
function secretsOfHeader(value: string): readonly string[] {
  return [value, ...value.split(' ').slice(1)];
}

function secretsOfUrl(url: string): readonly string[] {
  const { search, searchParams } = new URL(url);
  return [search.slice(1), ...searchParams.values()];
}

function headersToStore(
  headers: Readonly<Record<string, string>>,
  secrets: readonly string[],
): Readonly<Record<string, string>> {
  const shown = Object.entries(headers)
    .slice(0, storedHeaders)
    .map(([name, value]) => {
      const isSecret = name === 'set-cookie' || name === 'authorization';
      return [name, isSecret ? hidden : maskText(printable(value), secrets).slice(0, storedHeaderLength)];
    });
  return Object.fromEntries(shown);
}

function bodyToStore(body: Buffer, secrets: readonly string[]): string {
  const text = maskText(printable(body.toString('utf8')), secrets);
  // A character cut in two is left out.
  return new TextDecoder().decode(Buffer.from(text).subarray(0, limits.triggerStoredBytes), { stream: true });
}

/** PostgreSQL's text has no NUL. */
function printable(text: string): string {
  return text.replaceAll('\0', '�');
}

/** Seconds or a date (RFC 9110, 10.2.3); what is neither is not there. */
function retryAfterOf(value: string | undefined, now: Date): number | null {
  if (value === undefined) return null;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = /^[A-Z][a-z]+,? /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now.getTime());
}

const errorsByCode: readonly (readonly [RegExp, AttemptError])[] = [
  [/^(TimeoutError|ETIMEDOUT|UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT)$/, 'timeout'],
  [/^(ENOTFOUND|EAI_\w+|E?SERVFAIL|ENODATA)$/, 'dns'],
  [/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|EACCES)$/, 'connect'],
  [/^(HTTPParserError|HPE_\w+|UND_ERR_(HEADERS_OVERFLOW|RES_\w+|INVALID_\w+))$/, 'protocol'],
  [/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, 'closed'],
  [/(^ERR_TLS_|^ERR_SSL_|CERT|SIGNED|^UNABLE_TO_|^EPROTO$|CRL)/, 'tls'],
];

/** The class of a failure, by the code of the error or of what caused it. */
function attemptErrorOf(error: unknown): AttemptError {
  if (error instanceof EgressRefused) return 'blocked';
  if (!(error instanceof Error)) return 'unknown';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const found = errorsByCode.find(([pattern]) => pattern.test(code));
  if (found !== undefined) return found[1];
  if (error.cause !== undefined) return attemptErrorOf(error.cause);
  return /was not resolved within/.test(error.message) ? 'dns' : 'closed';
}
