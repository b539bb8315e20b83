import { createHash, type Hash } from 'node:crypto';
import { repositoryAccess } from './registry-auth.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { errorFromFailure } from './registry-errors.ts';
import type { CallOptions, RegistryHttp, StreamedAnswer } from './registry-http.ts';
import { backOff } from './registry-retry.ts';

/** Content by its digest and exact size, as a descriptor names it. */
export interface BlobIdentity {
  readonly digest: string;
  readonly size: number;
}

export interface BlobRange extends CallOptions {
  /** The first byte wanted, default 0. Only a blob read from its start is checked against its digest. */
  readonly offset?: number;
}

/** A failed try that moved at least this much does not count against the attempts. */
export const progressBytes = 64 * 1024;

/**
 * Opens a blob and resolves once its first bytes are on the way. The body goes on by `Range` where a connection broke, is
 * never longer than the descriptor says, and throws before its last chunk if the digest does not hold.
 */
export async function blobGet(
  http: RegistryHttp,
  { repository, digest, size }: BlobIdentity & { readonly repository: string },
  { offset = 0, ...options }: BlobRange,
): Promise<AsyncIterable<Uint8Array>> {
  const reading: Reading = { http, repository, digest, size, ...options };
  return continued(reading, offset, await openPersistently(reading, offset, 0));
}

interface Reading extends BlobIdentity, CallOptions {
  readonly http: RegistryHttp;
  readonly repository: string;
}

async function* continued(reading: Reading, offset: number, opened: StreamedAnswer): AsyncGenerator<Uint8Array> {
  const check = offset === 0 ? createHash('sha256') : undefined;
  let answer = opened;
  let at = offset;
  for (let failures = 0; ;) {
    const from = at;
    try {
      for await (const chunk of bodyFrom(answer, at, reading)) {
        at += chunk.length;
        if (at > reading.size) throw tooLong(reading);
        check?.update(chunk);
        if (at === reading.size) assertDigest(check, reading);
        yield chunk;
      }
      if (at < reading.size) throw new Error(`it ended after ${at} of ${reading.size} bytes`);
      if (reading.size === 0) assertDigest(check, reading);
      return;
    } catch (error) {
      reading.signal.throwIfAborted();
      failures = at - from >= progressBytes ? 1 : failures + 1;
      await backOffOrThrow(reading, errorFromFailure(error, describe(reading)), failures);
    }
    answer = await openPersistently(reading, at, failures);
  }
}

/** Opens at `offset`, trying again as often as the policy leaves after `failures`. */
async function openPersistently(reading: Reading, offset: number, failures: number): Promise<StreamedAnswer> {
  for (let failed = failures; ;) {
    try {
      return await open(reading, offset);
    } catch (error) {
      reading.signal.throwIfAborted();
      failed += 1;
      await backOffOrThrow(reading, errorFromFailure(error, describe(reading)), failed);
    }
  }
}

async function backOffOrThrow(
  { http, signal, onRetry }: Reading,
  error: RegistryError,
  failures: number,
): Promise<void> {
  const policy = http.limits.retry;
  if (error.isPermanent || failures >= policy.attempts) throw error;
  await backOff(error, failures, { policy, signal, onRetry });
}

function open({ http, repository, digest, signal }: Reading, offset: number): Promise<StreamedAnswer> {
  return http.stream({
    method: 'GET',
    target: `/v2/${repository}/blobs/${digest}`,
    access: repositoryAccess(repository, ['pull']),
    headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
    expect: offset === 0 ? [200] : [200, 206],
    isRedirectFollowed: true,
    signal,
  });
}

/** The chunks from `offset` on, also when the server ignored the range and started over. */
async function* bodyFrom(answer: StreamedAnswer, offset: number, reading: Reading): AsyncGenerator<Buffer> {
  const start = answer.status === 206 ? rangeStart(answer) : 0;
  if (start > offset) throw new Error(`it was asked from byte ${offset} and sent from byte ${start}`);
  if (Number(answer.headers['content-length'] ?? 0) > reading.size - start) throw tooLong(reading);
  let skip = offset - start;
  const body: AsyncIterable<Buffer> = answer.body;
  for await (const chunk of body) {
    if (skip < chunk.length) yield skip === 0 ? chunk : chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}

function rangeStart({ headers }: StreamedAnswer): number {
  const start = /^bytes (\d+)-/.exec(String(headers['content-range']))?.[1];
  if (start === undefined) throw new Error('its answer 206 has no readable Content-Range');
  return Number(start);
}

function assertDigest(check: Hash | undefined, reading: Reading): void {
  const found = check === undefined ? reading.digest : `sha256:${check.digest('hex')}`;
  if (found === reading.digest) return;
  throw new RegistryError(`${describe(reading)} gave other bytes: their digest is ${found}.`, {
    issue: 'verify_failed',
    isPermanent: true,
  });
}

function tooLong(reading: Reading): RegistryError {
  return new RegistryError(`${describe(reading)} is longer than the ${reading.size} bytes its manifest names.`, {
    issue: 'data_length_exceeded',
    isPermanent: true,
  });
}

function describe({ http, repository, digest }: Reading): string {
  return `The blob ${http.origin.host}/${repository}@${digest}`;
}
