import type { Context } from 'hono';
import { AppError } from '../domain/errors.ts';

/**
 * Sets the strong ETag of a document's version. `noted` is what the answer tells besides the document itself, which changes without
 * the document: reading it again sees it, while a change may be made to the version alone.
 */
export function setEtag(c: Context, version: number, noted = ''): void {
  c.header('etag', etagOf(version, noted));
}

/** Whether the caller holds this version already: the answer is 304 then. */
export function isUnchanged(c: Context, version: number, noted = ''): boolean {
  return (
    c.req
      .header('if-none-match')
      ?.split(',')
      .some((tag) => tag.trim().replace(/^W\//, '') === etagOf(version, noted)) ?? false
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
  if (tags.includes('*') || tags.some((tag) => versionOf(tag) === String(version))) return;
  throw new AppError(
    412,
    'request.stale',
    'It was changed since you read it. Compare with "current" in this answer, and send your change with its ETag.',
    { extra: { current: current() } },
  );
}

function etagOf(version: number, noted: string): string {
  return `"${version}${noted === '' ? '' : `.${noted}`}"`;
}

function versionOf(tag: string): string | undefined {
  return /^"(\d+)(?:\.\w+)?"$/.exec(tag)?.[1];
}
