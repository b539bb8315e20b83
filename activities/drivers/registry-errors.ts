import { z } from 'zod';
import { EgressRefused } from '../../domain/egress.ts';
import { RegistryError, type RegistryIssue } from '../../domain/registry-error.ts';

/** A registry that answers against its own protocol. */
export function brokenProtocol(message: string): RegistryError {
  return new RegistryError(message, { issue: 'internal_error', isPermanent: false });
}

interface RefusedAnswer {
  /** What was asked, as `PUT 127.0.0.1:5001/v2/shop/web/manifests/v1`. */
  readonly what: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

/** The error for an answer nobody expected, by status and the registry's own code. */
export function errorFromAnswer({ what, status, headers, body }: RefusedAnswer): RegistryError {
  const { code, message } = ownWords(body);
  const said = [code, message].filter((part) => part !== '').join(': ');
  const issue = issueOf({ status, code, message });
  return new RegistryError(`${what} was answered ${status}${said === '' ? '' : ` (${said})`}.`, {
    issue,
    isPermanent: !isTransientStatus(status),
    status,
    ...(code === '' ? {} : { code }),
    ...retryAfter(headers['retry-after']),
  });
}

/** The error for a request that got no answer, or only part of one. A `RegistryError` stays itself. */
export function errorFromFailure(error: unknown, what: string): RegistryError {
  if (error instanceof RegistryError) return error;
  const reason = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in reason && typeof reason.code === 'string' ? reason.code : '';
  const words = reason.message === '' ? code : reason.message;
  return new RegistryError(`${what} failed: ${words}`, {
    issue: 'network_error',
    isPermanent: reason instanceof EgressRefused || certificateCodes.has(code),
    ...(code === '' ? {} : { code }),
    cause: error,
  });
}

export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 507);
}

/** Somebody has to renew or trust a certificate first. */
const certificateCodes = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

const errorBodySchema = z.looseObject({
  errors: z.array(z.looseObject({ code: z.string().catch(''), message: z.string().catch('') })).min(1),
});

/** The first error of an OCI error body; made harmless, since it ends in logs and on the Record. */
function ownWords(body: Uint8Array): { code: string; message: string } {
  const read = errorBodySchema.safeParse(parsedJson(body));
  const first = read.success ? read.data.errors[0] : undefined;
  return { code: harmless(first?.code ?? '', 64), message: harmless(first?.message ?? '', 300) };
}

function parsedJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}

function harmless(text: string, length: number): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, length);
}

const manifestCodes = new Set(['MANIFEST_INVALID', 'UNSUPPORTED', 'MANIFEST_UNVERIFIED', 'NAME_INVALID']);

function issueOf({ status, code, message }: { status: number; code: string; message: string }): RegistryIssue {
  if (
    status === 507 ||
    (status >= 400 && status < 500 && /quota|storage limit|exceeded the (storage|size)/i.test(message))
  ) {
    return 'destination_quota';
  }
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 413) return 'data_length_exceeded';
  if (status === 409 || status === 412 || /IMMUTABLE/i.test(code)) return 'tag_conflict';
  if (isTransientStatus(status)) return 'network_error';
  if (code === 'DIGEST_INVALID') return 'verify_failed';
  if (status === 406 || status === 415 || manifestCodes.has(code)) return 'unsupported_format';
  return 'internal_error';
}

/** Seconds or a date, as RFC 9110 has it; anything else is not heard. */
function retryAfter(header: string | string[] | undefined): { retryAfterMs?: number } {
  if (typeof header !== 'string') return {};
  if (/^\d{1,9}$/.test(header)) return { retryAfterMs: Number(header) * 1_000 };
  const at = Date.parse(header);
  return Number.isNaN(at) ? {} : { retryAfterMs: Math.max(0, at - Date.now()) };
}
