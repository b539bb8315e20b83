import type { Context } from 'hono';
import { AppError } from '../domain/errors.ts';

/** Sets the strong ETag of a document's version. */
export function setEtag(c: Context, version: number): void {
  c.header('etag', etagOf(version));
}

/** Whether the caller holds this version already: the answer is 304 then. */
export function isUnchanged(c: Context, version: number): boolean {
  return (
    c.req
      .header('if-none-match')
      ?.split(',')
      .some((tag) => tag.trim().replace(/^W\//, '') === etagOf(version)) ?? false
  );
}

/**
 * Lets a change through only when it is made to the version the caller saw: without `If-Match` 428
 * `request.precondition_required`, with another version 412 `request.stale` with the document as it is in `current`.
 */
export function requireMatch(
  c: Context,
  { version, current }: { readonly version: number; readonly current: () => unknown },
): void {
  const header = c.req.header('if-match');
  if (header === undefined)
    throw new AppError(
      428,
      'request.precondition_required',
      "This change needs the header If-Match with the ETag of the version you read, so that nobody else's change is lost. Read it first.",
    );
  const tags = header.split(',').map((tag) => tag.trim());
  if (tags.includes('*') || tags.includes(etagOf(version))) return;
  throw new AppError(
    412,
    'request.stale',
    'It was changed since you read it. Compare with "current" in this answer, and send your change with its ETag.',
    { extra: { current: current() } },
  );
}

function etagOf(version: number): string {
  return `"${version}"`;
}
