import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { createDatabase } from '../../db/database.ts';
import type { Database } from '../../db/database.ts';

export interface TestDatabase {
  readonly db: Database;
  /** For what opens a connection of its own, such as LISTEN. */
  readonly url: string;
  /** Closes the pool. */
  close(): Promise<void>;
}

/** A migrated database of its own on the project's server, which takes it away in the end; one per test file. */
export async function createTestDatabase({
  maxConnections = 5,
}: { maxConnections?: number } = {}): Promise<TestDatabase> {
  const { url: serverUrl, template } = inject('postgres');
  const name = `test_${randomBytes(8).toString('hex')}`;
  const server = new pg.Client({ connectionString: serverUrl });
  await server.connect();
  await server.query(`create database ${name} template ${template}`);
  await server.end();
  const url = Object.assign(new URL(serverUrl), { pathname: name }).href;
  const db = createDatabase({ url, maxConnections });
  return { db, url, close: () => db.destroy() };
}
