import { createHash } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { z } from 'zod';
import type { SecretBox } from '../activities/drivers/secret-box.ts';
import {
  claimIdempotencyKey,
  deleteOldIdempotencyKeys,
  releaseIdempotencyKey,
  storeIdempotentAnswer,
} from '../db/repositories/idempotency.ts';
import type { IdempotencyScope } from '../db/repositories/idempotency.ts';
import type { IdempotencyKeyRow } from '../db/tables/session.ts';
import { AppError, conflict, invalidRequest } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { ApiDeps } from './deps.ts';
import type { ApiEnv } from './env.ts';

const keptMs = 24 * 60 * 60 * 1000;
/** A request still unanswered after this was cut off, and its key may be taken over. */
const abandonedMs = 2 * 60 * 1000;
const keptHeaders = ['content-type', 'location', 'etag'];
const storedHeaders = z.record(z.string(), z.string());

type Deps = Pick<ApiDeps, 'db' | 'clock' | 'secretBox'>;

/**
 * `Idempotency-Key` on any POST: the same key and body get the first answer again, with `Idempotency-Replayed: true`. Answers
 * may hold a secret shown once, so they are stored sealed.
 */
export function idempotency(deps: Deps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const key = c.req.header('idempotency-key');
    if (key === undefined || c.req.method !== 'POST') return next();
    checkKey(key);
    const now = deps.clock();
    const scope = { actor: c.get('actor'), path: c.req.path, key };
    const bodySha256 = createHash('sha256')
      .update(Buffer.from(await c.req.arrayBuffer()))
      .digest('hex');
    const keptSince = new Date(now.getTime() - keptMs);
    const abandonedSince = new Date(now.getTime() - abandonedMs);
    const earlier = await claimIdempotencyKey(deps.db, scope, { bodySha256, now, keptSince, abandonedSince });
    if (earlier !== undefined) return replay(deps, earlier, bodySha256);
    await next();
    await deleteOldIdempotencyKeys(deps.db, keptSince);
    await keepAnswer(deps, scope, c.res);
  };
}

async function keepAnswer({ db, secretBox }: Deps, scope: IdempotencyScope, res: Response): Promise<void> {
  if (res.status >= 500) return releaseIdempotencyKey(db, scope);
  const headers = Object.fromEntries(
    keptHeaders.flatMap((name) => {
      const value = res.headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
  const answer = sealAnswer(secretBox, await res.clone().text(), scope);
  await storeIdempotentAnswer(db, scope, { status: res.status, answer, headers });
}

function replay({ secretBox }: Deps, row: IdempotencyKeyRow, bodySha256: string): Response {
  if (row.body_sha256 !== bodySha256)
    throw new AppError(
      422,
      'idempotency.key_reused',
      'This Idempotency-Key was used with another body. Use a new key for a new request.',
    );
  if (row.status === null || row.answer === null)
    throw conflict(
      'idempotency.in_flight',
      'The first request with this Idempotency-Key is still being answered. Ask again in a moment.',
    );
  const headers = new Headers(storedHeaders.parse(row.headers));
  headers.set('idempotency-replayed', 'true');
  const body = openAnswer(secretBox, row.answer, row);
  return new Response(body === '' ? null : body, { status: row.status, headers });
}

function sealAnswer(secretBox: SecretBox, answer: string, scope: IdempotencyScope): string {
  const { keyId, ciphertext } = secretBox.seal(answer, bindingOf(scope));
  return `${keyId}.${ciphertext.toString('base64')}`;
}

function openAnswer(secretBox: SecretBox, sealed: string, scope: IdempotencyScope): string {
  const [keyId = '', ciphertext = ''] = sealed.split('.');
  return secretBox.open({ keyId, ciphertext: Buffer.from(ciphertext, 'base64') }, bindingOf(scope));
}

function bindingOf({ actor, path, key }: IdempotencyScope) {
  return { ownerId: actor, id: `${path}#${key}`, kind: 'idempotent-answer', version: 1 };
}

function checkKey(key: string): void {
  if (key.length > 0 && key.length <= limits.idempotencyKeyLength) return;
  throw invalidRequest([
    {
      pointer: '',
      code: 'request.idempotency_key_invalid',
      message: `An Idempotency-Key has 1 to ${limits.idempotencyKeyLength} characters. Choose a shorter one.`,
    },
  ]);
}
