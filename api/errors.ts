import { STATUS_CODES } from 'node:http';
import type { ErrorHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { AppError } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { ApiDeps } from './deps.ts';
import type { ApiEnv } from './env.ts';

/**
 * Turns every error into RFC 9457 problem details: `{type, title, status, detail, code, requestId, errors}`. An error that is
 * no `AppError` becomes `internal`: logged whole, showing nothing (docs/product.md, "Field tables").
 */
export function onError({ config }: Pick<ApiDeps, 'config'>): ErrorHandler<ApiEnv> {
  return (error, c) => {
    const known = error instanceof AppError ? error : fromFramework(error);
    if (known === undefined) c.get('log').error({ err: error }, 'request failed unexpectedly');
    else if (known.status >= 500) c.get('log').warn({ err: known, code: known.code }, 'request failed behind us');
    return problem(known ?? internal(), { baseUrl: config.SLIPWAY_URL, requestId: c.get('requestId') });
  };
}

/** One error as an `application/problem+json` answer. */
function problem(error: AppError, { baseUrl, requestId }: { baseUrl: string; requestId: string }): Response {
  const headers = new Headers({ 'content-type': 'application/problem+json' });
  if (error.status === 401) headers.set('www-authenticate', 'Bearer realm="slipway"');
  const retryAfter = error.extra['retryAfterSeconds'];
  if (typeof retryAfter === 'number') headers.set('retry-after', String(retryAfter));
  const body = {
    type: `${baseUrl}/docs/errors/${error.code}`,
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    code: error.code,
    requestId,
    errors: error.errors,
    ...error.extra,
  };
  return new Response(JSON.stringify(body), { status: error.status, headers });
}

/** 401 `access.unauthenticated`: no credential, or one that does not hold. */
export function unauthenticated(detail?: string): AppError {
  return new AppError(
    401,
    'access.unauthenticated',
    detail ??
      'This request carries no valid credential. Send "Authorization: Bearer <token>", or log in to the console first.',
  );
}

/** 413 `request.too_large`. */
export function tooLarge(): AppError {
  return new AppError(
    413,
    'request.too_large',
    `The body is larger than ${limits.apiBodyBytes / 1024 / 1024} MB, the most a request may carry. Send less, or in several requests.`,
  );
}

/** 404 `request.route_not_found`: nothing answers at this method and path. */
export function routeNotFound(method: string, path: string): AppError {
  return new AppError(
    404,
    'request.route_not_found',
    `Nothing answers ${method} ${path}. Look up the path in /openapi.json.`,
  );
}

function internal(): AppError {
  return new AppError(
    500,
    'internal',
    'Slipway failed to handle this request through a defect of its own. Try again; if it stays, tell the administrator the request id.',
  );
}

/** What hono itself refuses: a body it cannot read, or of a type the route does not take. */
function fromFramework(error: Error): AppError | undefined {
  if (!(error instanceof HTTPException)) return undefined;
  if (error.status === 400)
    return new AppError(
      400,
      'request.unreadable',
      'The body is no JSON that can be read. Check quotes, commas and brackets, and send it as UTF-8.',
      { cause: error },
    );
  if (error.status === 415)
    return new AppError(
      415,
      'request.unsupported_media_type',
      'This route does not take a body of this type. Send JSON with "Content-Type: application/json".',
      { cause: error },
    );
  return undefined;
}
