import type { ColumnType } from 'kysely';

/** A jsonb column: read as `Value`, written as the text of `JSON.stringify` (a bare array would become a Postgres array). */
export type Json<Value> = ColumnType<Value, string, string>;
