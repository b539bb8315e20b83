import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newBuildWorld } from '../support/build-world.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let workDir: string;
beforeAll(async () => {
  database = await createTestDatabase();
  workDir = await mkdtemp(join(tmpdir(), 'slipway-work-'));
});
afterAll(async () => {
  await database.close();
  await rm(workDir, { recursive: true, force: true });
});

test('the commit says its message and author where whoever started the build did not', async () => {
  const world = await newBuildWorld(database.db, workDir);
  const { runId, buildId } = world.build;
  const told = (message: string | null) =>
    Promise.all([
      database.db.updateTable('build').set({ message, author: null }).where('id', '=', buildId).execute(),
      database.db.updateTable('run').set({ message, author: null }).where('id', '=', runId).execute(),
    ]);
  const shown = async () => {
    const run = await database.db.selectFrom('run').selectAll().where('id', '=', runId).executeTakeFirstOrThrow();
    const build = await database.db.selectFrom('build').selectAll().where('id', '=', buildId).executeTakeFirstOrThrow();
    return [build, run].map(({ message, author }) => ({ message, author }));
  };
  await told(null);
  await world.clone();
  expect(await shown()).toEqual(Array(2).fill({ message: 'A change\n\nand why', author: 'Ada' }));
  await told('as the host tells it');
  await world.clone();
  expect(await shown()).toEqual(Array(2).fill({ message: 'as the host tells it', author: null }));
});
