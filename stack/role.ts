import { createDatabase } from '../db/database.ts';
import { migrate } from '../db/migrate.ts';

const roles: Readonly<Record<string, () => Promise<unknown>>> = {
  api: () => import('../api/server.ts'),
  worker: () => import('../worker/main.ts'),
  migrate: () => migrateDatabase(process.env['SLIPWAY_POSTGRES_URL']),
};

/** `node stack/role.ts api|worker|migrate`: what a container of the one Slipway image does. */
async function main(role: string | undefined): Promise<void> {
  const start = role !== undefined && Object.hasOwn(roles, role) ? roles[role] : undefined;
  if (start === undefined) throw new Error(`There is no role "${role ?? ''}": ${Object.keys(roles).join(', ')} are.`);
  await start();
}

async function migrateDatabase(url: string | undefined): Promise<void> {
  if (url === undefined) throw new Error('SLIPWAY_POSTGRES_URL is required.');
  const db = createDatabase({ url, maxConnections: 1 });
  try {
    await migrate(db);
  } finally {
    await db.destroy();
  }
}

await main(process.argv[2]);
