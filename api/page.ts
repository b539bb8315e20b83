import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { SecretBox } from '../activities/drivers/secret-box.ts';
import { AppError } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { PageQuery, Position } from '../domain/page.ts';

const limitText = `A page holds 1 to ${limits.pageSizeMax} items.`;

/** `?limit=&cursor=` of every list. */
export const pageQuery = z.object({
  limit: z
    .string()
    .optional()
    .transform((text) => (text === undefined ? limits.pageSize : Number(text)))
    .refine((limit) => Number.isInteger(limit) && limit >= 1 && limit <= limits.pageSizeMax, { message: limitText })
    .openapi({
      type: 'integer',
      minimum: 1,
      maximum: limits.pageSizeMax,
      default: limits.pageSize,
      description: limitText,
    }),
  cursor: z.string().max(2_048).optional().openapi({ description: 'The nextCursor of the page before; opaque.' }),
});

/** A page of a list. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

export type { PageQuery, Position } from '../domain/page.ts';

/** Makes and reads cursors: base64url of position and filter hash, sealed with an HMAC, so that none can be made up. */
export interface Cursors {
  /** The query of a request; `filters` is everything the list is filtered by. Throws 422 `cursor.invalid`. */
  read(query: { limit: number; cursor?: string | undefined }, filters: unknown): PageQuery;
  write(position: Position, filters: unknown): string;
}

const positionSchema = z.tuple([z.string(), z.string(), z.string()]);

export function createCursors(secretBox: Pick<SecretBox, 'deriveKey'>): Cursors {
  const key = secretBox.deriveKey('cursor');
  const macOf = (text: string) => createHmac('sha256', key).update(text).digest().subarray(0, 16);
  return {
    read({ limit, cursor }, filters) {
      return { limit, after: cursor === undefined ? undefined : readCursor(cursor, { filters, macOf }) };
    },
    write(position, filters) {
      const text = JSON.stringify([position.key, position.id, hashOf(filters)]);
      return `${Buffer.from(text).toString('base64url')}.${macOf(text).toString('base64url')}`;
    },
  };
}

function readCursor(
  cursor: string,
  { filters, macOf }: { filters: unknown; macOf: (text: string) => Buffer },
): Position {
  const [body = '', mac = ''] = cursor.split('.');
  const text = Buffer.from(body, 'base64url').toString();
  const given = Buffer.from(mac, 'base64url');
  const expected = macOf(text);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw cursorInvalid();
  const [key, id, hash] = positionSchema.parse(JSON.parse(text));
  if (hash !== hashOf(filters)) throw cursorInvalid();
  return { key, id };
}

function hashOf(filters: unknown): string {
  return createHash('sha256').update(JSON.stringify(filters)).digest('base64url').slice(0, 16);
}

function cursorInvalid(): AppError {
  return new AppError(
    422,
    'cursor.invalid',
    'The cursor was changed, or belongs to a list with other filters. Start again without a cursor.',
  );
}

/**
 * Shapes rows of a list function (at most `limit + 1`) into `{items, nextCursor}` and sets `Link: rel="next"`.
 */
export function toPage<Row, Item>(
  c: Context,
  {
    rows,
    limit,
    toItem,
    cursorOf,
  }: { rows: readonly Row[]; limit: number; toItem: (row: Row) => Item; cursorOf: (row: Row) => string },
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last !== undefined ? cursorOf(last) : null;
  if (nextCursor !== null) {
    const next = new URL(c.req.url);
    next.searchParams.set('cursor', nextCursor);
    c.header('link', `<${next.pathname}${next.search}>; rel="next"`);
  }
  return { items: shown.map(toItem), nextCursor };
}
