import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { bareHost } from '../domain/egress.ts';
import { AppError } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import {
  deleteSession,
  deleteStaleSessions,
  findSession,
  insertLoginCode,
  insertSession,
  takeLoginCode,
  touchSession,
} from '../db/repositories/session.ts';
import type { ApiDeps } from './deps.ts';
import type { ApiEnv } from './env.ts';
import { unauthenticated } from './errors.ts';

type AuthDeps = Pick<ApiDeps, 'db' | 'config' | 'clock' | 'adminTokenHash'>;

/** The name of the only principal there is so far, as runs and cancellations show it. */
const administrator = 'administrator';

/** A login code of a printed address works once, within this time. */
const loginCodeMs = 12 * 60 * 60 * 1000;
/** `last_seen_at` is written at most this often. */
const touchEveryMs = 60_000;
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Lets through what carries the administrator's bearer token or a live session cookie; all else is 401
 * `access.unauthenticated` (docs/product.md, section 14).
 */
export function requireLogin(deps: AuthDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const header = c.req.header('authorization');
    const actor = header === undefined ? await actorOfCookie(deps, c) : actorOfBearer(deps, header);
    if (actor === undefined) throw unauthenticated();
    c.set('actor', actor);
    c.set('byHand', header === undefined ? 'manual' : 'api');
    await next();
  };
}

/** Whether `token` is the administrator's; takes the same time whatever it is. */
export function isAdminToken({ adminTokenHash }: Pick<ApiDeps, 'adminTokenHash'>, token: string): boolean {
  return timingSafeEqual(sha256(token), adminTokenHash);
}

/** SHA-256 of a token: what is stored and compared instead of it. */
export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function actorOfBearer(deps: AuthDeps, header: string): string | undefined {
  const token = /^Bearer +([^\s]+)$/i.exec(header)?.[1];
  return token !== undefined && isAdminToken(deps, token) ? administrator : undefined;
}

async function actorOfCookie(deps: AuthDeps, c: Context<ApiEnv>): Promise<string | undefined> {
  const session = await currentSession(deps, c);
  if (session === undefined) return undefined;
  if (!safeMethods.has(c.req.method) && !isOwnPage(c)) {
    throw new AppError(
      403,
      'access.cross_site',
      'A call with the session cookie that changes something must send JSON or the header "X-Requested-With", which other sites cannot. Add one.',
    );
  }
  return session.actor;
}

/** A form on another site can send cookies, but neither JSON nor a header of its own. */
function isOwnPage(c: Context): boolean {
  const type = c.req.header('content-type') ?? '';
  return /^application\/json\b/i.test(type) || c.req.header('x-requested-with') !== undefined;
}

export interface CurrentSession {
  readonly actor: string;
  readonly expiresAt: Date;
}

/** The session of the request's cookie; keeps it awake. */
export async function currentSession(deps: AuthDeps, c: Context): Promise<CurrentSession | undefined> {
  const token = getCookie(c, cookieName(deps));
  if (token === undefined) return undefined;
  const now = deps.clock();
  const tokenHash = sha256(token).toString('hex');
  const session = await findSession(deps.db, { tokenHash, ...oldest(now) });
  if (session === undefined) return undefined;
  if (now.getTime() - session.last_seen_at.getTime() > touchEveryMs)
    await touchSession(deps.db, { tokenHash, at: now });
  const expiresAt = Math.min(now.getTime() + limits.sessionIdleMs, session.created_at.getTime() + limits.sessionMaxMs);
  return { actor: session.actor, expiresAt: new Date(expiresAt) };
}

/** Opens a session for the administrator and sets its cookie: 32 random bytes, stored hashed. */
export async function openSession(deps: AuthDeps, c: Context): Promise<CurrentSession> {
  refuseOpenNetwork(deps);
  const now = deps.clock();
  const { createdAfter, seenAfter } = oldest(now);
  await deleteStaleSessions(deps.db, { createdBefore: createdAfter, seenBefore: seenAfter, now });
  const token = randomBytes(32).toString('base64url');
  await insertSession(deps.db, {
    token_hash: sha256(token).toString('hex'),
    actor: administrator,
    created_at: now,
    last_seen_at: now,
  });
  setCookie(c, cookieName(deps), token, {
    httpOnly: true,
    sameSite: 'Lax',
    path: '/',
    secure: isSecure(deps),
    maxAge: limits.sessionMaxMs / 1000,
  });
  return { actor: administrator, expiresAt: new Date(now.getTime() + limits.sessionIdleMs) };
}

/** Ends the session of the request's cookie. */
export async function closeSession(deps: AuthDeps, c: Context): Promise<void> {
  const token = getCookie(c, cookieName(deps));
  if (token !== undefined) await deleteSession(deps.db, sha256(token).toString('hex'));
  deleteCookie(c, cookieName(deps), { path: '/', secure: isSecure(deps) });
}

/** A new code for a printed address; `/login?code=…` takes it once. */
export async function newLoginCode({ db, config, clock }: AuthDeps): Promise<{ url: string; expiresAt: Date }> {
  const code = randomBytes(24).toString('base64url');
  const expiresAt = new Date(clock().getTime() + loginCodeMs);
  await insertLoginCode(db, { codeHash: sha256(code).toString('hex'), expiresAt });
  return { url: `${config.SLIPWAY_URL}/login?code=${code}`, expiresAt };
}

/** Uses up a login code; 401 when it is used, too old or made up. */
export async function useLoginCode({ db, clock }: AuthDeps, code: string): Promise<void> {
  const isGood = await takeLoginCode(db, { codeHash: sha256(code).toString('hex'), now: clock() });
  if (!isGood)
    throw unauthenticated(
      "This login address was used before or is too old: each works once. Log in with the administrator's token, or start Slipway again for a new address.",
    );
}

function oldest(now: Date): { createdAfter: Date; seenAfter: Date } {
  return {
    createdAfter: new Date(now.getTime() - limits.sessionMaxMs),
    seenAfter: new Date(now.getTime() - limits.sessionIdleMs),
  };
}

function isSecure({ config }: Pick<ApiDeps, 'config'>): boolean {
  return config.SLIPWAY_URL.startsWith('https:');
}

function cookieName(deps: Pick<ApiDeps, 'config'>): string {
  return isSecure(deps) ? '__Host-sid' : 'sid';
}

/** Over plain http a cookie could be read on its way; only the machine itself is near enough. */
function refuseOpenNetwork(deps: Pick<ApiDeps, 'config'>): void {
  const host = bareHost(new URL(deps.config.SLIPWAY_URL));
  if (isSecure(deps) || host === 'localhost' || host === '::1' || host.startsWith('127.')) return;
  throw new AppError(
    403,
    'session.https_needed',
    'The console can be logged in to over https only, or over http on the same machine. Set SLIPWAY_URL to an https address.',
  );
}
