import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Position } from '../domain/page.ts';

/** Creation time to the millisecond, which is what a cursor carries. */
export function createdMs(table: string): RawBuilder<Date> {
  return sql<Date>`date_trunc('milliseconds', ${sql.ref(`${table}.created_at`)})`;
}

/** The rows created after a position; `key` is an RFC 3339 time. True for every row at the start of a list. */
export function createdAfter(table: string, after: Position | undefined): RawBuilder<boolean> {
  if (after === undefined) return sql<boolean>`true`;
  return sql<boolean>`(${createdMs(table)}, ${sql.ref(`${table}.id`)}) > (${new Date(after.key)}, ${after.id})`;
}
