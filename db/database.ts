import { Kysely, PostgresDialect } from 'kysely';
import { Pool, TypeOverrides, types } from 'pg';
import type { Transaction } from 'kysely';
import type { Schema } from './schema.ts';

export type Database = Kysely<Schema>;
export type DatabaseTransaction = Transaction<Schema>;

export interface DatabaseOptions {
  readonly url: string;
  readonly maxConnections?: number;
  readonly onPoolError?: (error: Error) => void;
}

/**
 * Opens a pool. int8 comes back as a number (our counters stay below 2^53; pg's default is text), every statement is bounded,
 * and a connection that cannot be had within five seconds is an error rather than a wait without end.
 */
export function createDatabase({ url, maxConnections = 10, onPoolError }: DatabaseOptions): Database {
  const overrides = new TypeOverrides();
  overrides.setTypeParser(types.builtins.INT8, Number);
  const pool = new Pool({
    connectionString: url,
    max: maxConnections,
    types: overrides,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: 30_000,
  });
  // An idle connection that the server closes raises here; without a listener it would end the process.
  pool.on('error', (error) => onPoolError?.(error));
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}
