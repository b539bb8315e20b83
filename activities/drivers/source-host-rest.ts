import { EgressRefused } from '../../domain/egress.ts';
import { limits } from '../../domain/limits.ts';
import { plainLine } from '../../domain/log-text.ts';
import { maskText } from '../../domain/mask.ts';
import { apiAuthorization } from '../../domain/source-credential.ts';
import type { Egress, EgressResponse } from './egress.ts';
import { HostError } from '../../domain/source-host-error.ts';
import type { HostErrorKind } from '../../domain/source-host-error.ts';
import type { HostCall, HostClientInput } from './source-host.ts';

const requestTimeoutMs = 10_000;
/** As much of a host's own words as helps. */
const saidLength = 200;

export interface HostRestOptions {
  /** A guarded way out for one request; `ca` (PEM) is the authority it trusts. */
  readonly openEgress: (options: { readonly ca?: string }) => Egress;
  readonly timeoutMs?: number;
}

/** JSON over HTTP with one source host. */
export interface HostRest {
  /** The host's web address, without a trailing slash. */
  readonly baseUrl: string;
  /** One request; answers the parsed body of a 2xx, null where it is empty. @throws HostError */
  call(request: RestRequest, call: HostCall): Promise<unknown>;
}

export interface RestRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export function createHostRest(
  { openEgress, timeoutMs = requestTimeoutMs }: HostRestOptions,
  input: HostClientInput,
): HostRest {
  const { baseUrl, caCertificate, secret, host } = input;
  const authorization = secret === null ? undefined : apiAuthorization(host, secret);
  const secrets = secret === null ? [] : [secret.kind === 'token' ? secret.token : secret.password];
  return {
    baseUrl,
    async call({ method, url, body, headers = {} }, { signal }) {
      const egress = openEgress(caCertificate === null ? {} : { ca: caCertificate });
      try {
        const answer = await egress.request({
          method,
          url,
          headers: {
            accept: 'application/json',
            'user-agent': 'Slipway',
            ...headers,
            ...(authorization === undefined ? {} : { authorization }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal,
          timeoutMs,
          maxBytes: limits.sourceHostAnswerBytes,
        });
        return parsed(answer, { url, secrets });
      } catch (error) {
        signal.throwIfAborted();
        throw error instanceof HostError ? error : unanswered(error, { url, secrets });
      } finally {
        await egress.close();
      }
    },
  };
}

interface Asked {
  readonly url: string;
  readonly secrets: readonly string[];
}

function parsed(answer: EgressResponse, asked: Asked): unknown {
  if (answer.status < 200 || answer.status > 299) throw refusal(answer, asked);
  if (answer.body.length === 0) return null;
  try {
    if (answer.isTruncated) throw new Error('too long');
    return JSON.parse(answer.body.toString('utf8'));
  } catch (error) {
    const text = `${hostOf(asked)} answered with something that is not the JSON of its API. Check the address of the source account.`;
    throw new HostError('unreachable', text, { status: answer.status, cause: error });
  }
}

function refusal(answer: EgressResponse, asked: Asked): HostError {
  const { status } = answer;
  const kind = kindOf(answer);
  return new HostError(kind, `${hostOf(asked)} ${words[kind]} (HTTP ${status}${saidIn(answer, asked)}).`, {
    status,
    retryAfterMs: retryAfterMs(answer.headers),
  });
}

function kindOf({ status, headers }: EgressResponse): HostErrorKind {
  if (status === 401) return 'refused';
  const isSpent = headers['x-ratelimit-remaining'] === '0' || headers['retry-after'] !== undefined;
  if (status === 429 || (status === 403 && isSpent)) return 'limited';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 410) return 'missing';
  if (status >= 400 && status < 500 && status !== 408) return 'invalid';
  // A redirect is never followed: it would take the credential elsewhere.
  return 'unreachable';
}

const words: Readonly<Record<HostErrorKind, string>> = {
  refused: 'does not take this credential',
  forbidden: 'takes this credential, but it lacks the right',
  missing: 'has no such repository, or this credential may not see it or lacks the right',
  invalid: 'did not take the request',
  blocked: 'may not be called',
  limited: 'takes no more calls for now',
  unreachable: 'did not answer as its API does',
};

/** The host's own reason; most call it `message`, some `error`. */
function saidIn({ body }: EgressResponse, { secrets }: Asked): string {
  const said = /"(?:message|error_description|error)"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(
    body.toString('utf8').slice(0, 4_096),
  )?.[1];
  return said === undefined || said === '' ? '' : `: ${maskText(plainLine(said), secrets).slice(0, saidLength)}`;
}

function unanswered(error: unknown, asked: Asked): HostError {
  if (error instanceof EgressRefused) return new HostError('blocked', error.message, { cause: error });
  const isTimeout =
    error instanceof Error && /timeout/i.test(`${error.name} ${'code' in error ? String(error.code) : ''}`);
  const how = isTimeout ? 'in time' : `(${maskText(plainLine(reasonOf(error)), asked.secrets).slice(0, saidLength)})`;
  const text = `${hostOf(asked)} did not answer ${how}. Check its address and certificate, and that it can be reached from here.`;
  return new HostError('unreachable', text, { isTimeout, cause: error });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no connection';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

function retryAfterMs(headers: Readonly<Record<string, string>>): number | null {
  const seconds = headers['retry-after'];
  return seconds !== undefined && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : null;
}

function hostOf({ url }: Asked): string {
  return new URL(url).host;
}
