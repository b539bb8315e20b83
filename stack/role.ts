import { migrateAt } from '../db/migrate.ts';

const roles: Readonly<Record<string, () => Promise<unknown>>> = {
  api: () => import('../api/server.ts'),
  worker: () => import('../worker/main.ts'),
  migrate: () => migrate(process.env['SLIPWAY_POSTGRES_URL']),
};

/** `node stack/role.ts api|worker|migrate`: what a container of the one Slipway image does. */
async function main(role: string | undefined): Promise<void> {
  const start = role !== undefined && Object.hasOwn(roles, role) ? roles[role] : undefined;
  if (start === undefined) throw new Error(`There is no role "${role ?? ''}": ${Object.keys(roles).join(', ')} are.`);
  await start();
}

async function migrate(url: string | undefined): Promise<void> {
  if (url === undefined) throw new Error('SLIPWAY_POSTGRES_URL is required.');
  await migrateAt(url);
}

await main(process.argv[2]);
