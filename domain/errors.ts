/** One thing wrong with one field: `pointer` is a JSON pointer into the body, or `?name` for a query parameter. */
export interface FieldError {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/** Why a run or a step ended as it did: a stable code, what it is about, and one English sentence (docs/product.md, section 12). */
export interface Reason {
  readonly code: string;
  readonly params: Readonly<Record<string, string | number>>;
  readonly text: string;
}

/**
 * An error a caller can act on. `code` is stable and has a page `docs/errors/<code>.md`; `detail` says what happened, why,
 * and what to do. Becomes RFC 9457 problem details in `api/errors.ts`.
 */
export class AppError extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly FieldError[];
  /** Further members of the problem, such as `requiredAction` or `retryAfterSeconds`. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    detail: string,
    options: { cause?: unknown; errors?: readonly FieldError[]; extra?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.status = status;
    this.code = code;
    this.errors = options.errors ?? [];
    this.extra = options.extra ?? {};
  }
}

/** 404 `<thing>.not_found`: it is missing, or the caller may not see it. */
export function notFound(thing: string, id: string): AppError {
  const words = thing.replaceAll('_', ' ');
  return new AppError(
    404,
    `${thing}.not_found`,
    `There is no ${words} "${id}", or you may not see it. Check the id, and that you are looking in the right instance.`,
  );
}

/** 409 `<thing>.exists`: the name is taken in `where`. */
export function alreadyExists(thing: string, name: string, where: string): AppError {
  const words = thing.replaceAll('_', ' ');
  return new AppError(
    409,
    `${thing}.exists`,
    `${where} already has ${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words} named "${name}". Choose another name, or change the existing one.`,
  );
}

/** 409 with a code of its own: the request is well formed, but the thing is in a state that forbids it. */
export function conflict(code: string, detail: string, extra: Readonly<Record<string, unknown>> = {}): AppError {
  return new AppError(409, code, detail, { extra });
}

/** 422 `request.invalid`: the body or query has fields that do not hold. */
export function invalidRequest(errors: readonly FieldError[]): AppError {
  const first = errors[0];
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  const detail = first === undefined ? 'The request does not hold.' : `${first.message}${more}`;
  return new AppError(422, 'request.invalid', detail, { errors });
}

/** 409 `quota.exceeded`: creation stops, nothing is deleted (docs/product.md, section 2). */
export function quotaExceeded(quota: string, limit: number, used: number): AppError {
  return new AppError(
    409,
    'quota.exceeded',
    `The quota "${quota}" allows ${limit} and ${used} are in use. Delete one, or ask the administrator to raise it.`,
    { extra: { quota, limit, used } },
  );
}
