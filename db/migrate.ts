import { Migrator } from 'kysely/migration';
import { createDatabase } from './database.ts';
import type { Database } from './database.ts';
import { migrations } from './migrations/index.ts';

/** Brings the database to the newest schema; safe to run from several processes, Kysely takes an advisory lock. */
export async function migrate(db: Database): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error instanceof Error ? error : new Error('A migration failed.', { cause: error });
}

/** The same for whoever has no connection yet: opens one, migrates, closes it. */
export async function migrateAt(url: string): Promise<void> {
  const db = createDatabase({ url, maxConnections: 1 });
  try {
    await migrate(db);
  } finally {
    await db.destroy();
  }
}

/** Whether every known migration has been applied; `/readyz` answers 503 otherwise. */
export async function isMigrated(db: Database): Promise<boolean> {
  const applied = await new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
  }).getMigrations();
  return applied.every((migration) => migration.executedAt !== undefined);
}
