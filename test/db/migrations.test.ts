import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrations } from '../../db/migrations/index.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

let world: TestDatabase;
beforeAll(async () => {
  world = await createTestDatabase();
});
afterAll(() => world.close());

/** Tables with their columns, and indexes, as PostgreSQL has them. */
async function shape(): Promise<unknown> {
  const { rows: columns } = await sql`
    select table_name, column_name, data_type, is_nullable from information_schema.columns
    where table_schema = current_schema() and table_name not like 'kysely%'
    order by table_name, column_name`.execute(world.db);
  const { rows: indexes } = await sql`
    select indexname from pg_indexes where schemaname = current_schema() and tablename not like 'kysely%'
    order by indexname`.execute(world.db);
  return { columns, indexes };
}

test('every migration is undone by its way back, and made again comes to the same', async () => {
  const names = Object.keys(migrations);
  expect(names).toEqual(names.toSorted((one, other) => (one < other ? -1 : 1)));
  const before = await shape();
  for (const name of names.toReversed()) await migrations[name]?.down?.(world.db);
  expect(await shape()).toEqual({ columns: [], indexes: [] });
  for (const name of names) await migrations[name]?.up(world.db);
  expect(await shape()).toEqual(before);
});
