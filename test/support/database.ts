import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { createDatabase } from '../../db/database.ts';
import type { Database } from '../../db/database.ts';
import { migrate } from '../../db/migrate.ts';

export interface TestDatabase {
  readonly db: Database;
  /** For what opens a connection of its own, such as LISTEN. */
  readonly url: string;
  readonly schema: string;
  /** Closes the pool. */
  close(): Promise<void>;
}

/** A migrated schema of its own on the project's server; one per test file. */
export async function createTestDatabase({
  maxConnections = 5,
}: { maxConnections?: number } = {}): Promise<TestDatabase> {
  const url = inject('postgresUrl');
  const schema = `test_${randomBytes(8).toString('hex')}`;
  const db = createDatabase({ url, schema, maxConnections });
  await migrate(db, { schema });
  return {
    db,
    url,
    schema,
    // The schema goes with the project's server: dropping it here would fail the migration of a file that starts just now,
    // since Kysely's introspection looks at the tables of all schemas.
    close: () => db.destroy(),
  };
}
