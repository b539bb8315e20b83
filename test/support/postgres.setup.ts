import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { migrateAt } from '../../db/migrate.ts';
import { logTail, startChild } from '../../stack/child.ts';
import { freePort } from '../../stack/ports.ts';
import { postgresPart, postgresUrl } from '../../stack/postgres.ts';
import { waitFor } from '../../stack/wait.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A PostgreSQL server for the whole project; each file works in its own copy of the migrated `template` (`createTestDatabase`). */
    postgres: { url: string; template: string };
  }
}

/** A fresh server that keeps nothing: without fsync, on a free port, gone after the last test. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-postgres-'));
  // As root the server runs as the user postgres, who must be able to enter the folder.
  await chmod(folder, 0o711);
  const port = await freePort();
  const password = randomBytes(18).toString('base64url');
  const part = await postgresPart({ dataDir: join(folder, 'data'), port, password, isDurable: false });
  await part.prepare?.();
  const logFile = join(folder, 'postgres.log');
  const server = await startChild(part.program, { logFile, mark: folder });
  const stop = async (): Promise<void> => {
    await server.stop(20_000);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitFor(() => part.isReady(() => logTail(logFile, 20)), AbortSignal.timeout(60_000));
    const url = postgresUrl({ port, password });
    project.provide('postgres', { url, template: await createTemplate(url) });
    return stop;
  } catch (error) {
    const tail = await logTail(logFile, 20);
    await stop();
    throw new Error(`PostgreSQL for tests did not come up. Its last lines:\n${tail}`, { cause: error });
  }
}

async function createTemplate(serverUrl: string): Promise<string> {
  const template = 'migrated';
  const server = new pg.Client({ connectionString: serverUrl });
  await server.connect();
  await server.query(`create database ${template}`);
  await server.end();
  await migrateAt(Object.assign(new URL(serverUrl), { pathname: template }).href);
  return template;
}
