import { randomUUID } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { ApiDeps } from './deps.ts';
import type { ApiEnv } from './env.ts';

const contentSecurityPolicy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** Names each request, logs its outcome, and keeps its id on the answer. Logs no header and no query: both may hold secrets. */
export function requestLog({ log }: Pick<ApiDeps, 'log'>): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const given = c.req.header('x-request-id');
    const requestId = given !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
    const requestLogger = log.child({ requestId });
    c.set('requestId', requestId);
    c.set('log', requestLogger);
    const startedAt = performance.now();
    await next();
    c.res.headers.set('x-request-id', requestId);
    const durationMs = Math.round(performance.now() - startedAt);
    requestLogger.debug(
      { method: c.req.method, path: shownPath(c.req.path), status: c.res.status, durationMs },
      'answered',
    );
  };
}

/** The part of a hook's address that cannot be guessed stays out of logs. */
function shownPath(path: string): string {
  return path.replace(/^\/hooks\/.*/, '/hooks/…');
}

/** Headers every answer carries. */
export function securityHeaders(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await next();
    const headers = c.res.headers;
    headers.set('content-security-policy', contentSecurityPolicy);
    headers.set('x-content-type-options', 'nosniff');
    headers.set('referrer-policy', 'same-origin');
    headers.set('cross-origin-opener-policy', 'same-origin');
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
  };
}
