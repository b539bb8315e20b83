import type { MiddlewareHandler } from 'hono';
import { invalidRequest } from '../domain/errors.ts';
import type { FieldError } from '../domain/errors.ts';
import type { ApiEnv } from './env.ts';

const maxErrors = 20;
const maxPointer = 500;
/** Only escapes can bring them into a body: NUL itself is no JSON, and half a pair is no UTF-8. */
const suspicious = /\\u(?:0000|[dD][89a-fA-F])/;

/**
 * Refuses text PostgreSQL cannot keep, a NUL or half of a surrogate pair, in a JSON body, a path or a query: 422 with
 * `request.text_invalid` instead of a failure of ours. Bodies are looked through only where an escape gives reason to.
 */
export function storableText(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (/%00/.test(c.req.url)) throw invalidRequest([unstorable('?', 'The address')]);
    if (c.req.header('content-type')?.includes('json') === true) {
      const text = await c.req.text();
      const errors = suspicious.test(text) ? unstorableIn(parsed(text)) : [];
      if (errors.length > 0) throw invalidRequest(errors);
    }
    return next();
  };
}

/** What is no JSON at all is refused later, in its own words. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Looks through a value of any depth, so without calling itself. */
function unstorableIn(body: unknown): FieldError[] {
  const errors: FieldError[] = [];
  const open: { value: unknown; pointer: string }[] = [{ value: body, pointer: '' }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, pointer } = next;
    if (typeof value === 'string' && !isStorable(value))
      errors.push(unstorable(pointer, `"${pointer.slice(0, maxPointer)}"`));
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, inner] of Object.entries(value)) {
      if (isStorable(name)) open.push({ value: inner, pointer: `${pointer}/${escaped(name)}` });
      else errors.push(unstorable(pointer, `A name in "${pointer.slice(0, maxPointer)}"`));
    }
  }
  return errors.slice(0, maxErrors);
}

/** A name in a JSON pointer (RFC 6901). */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

function unstorable(pointer: string, what: string): FieldError {
  return {
    pointer: pointer.slice(0, maxPointer),
    code: 'request.text_invalid',
    message: `${what} holds a NUL character or half of a surrogate pair, which is no text that can be kept. Take it out.`,
  };
}
