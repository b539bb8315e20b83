import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecretBox, parseKeyFile } from '../activities/drivers/secret-box.ts';
import { createDatabase, type Database } from '../db/database.ts';
import { migrate } from '../db/migrate.ts';
import { startChild, type Child } from '../stack/child.ts';
import { openKeys } from '../stack/keys.ts';
import { addressesOf, apiPart } from '../stack/parts.ts';
import { choosePorts } from '../stack/ports.ts';
import { postgresPart } from '../stack/postgres.ts';
import { readSettings } from '../stack/settings.ts';
import { answersHttp, waitFor } from '../stack/wait.ts';
import { seedRepository, type SeededRepository } from '../test/support/seed.ts';
import { startParts, type TestParts } from '../test/support/stack-parts.ts';

/** A durable PostgreSQL and one API process over it; no Temporal, no object store: the inbox needs neither. */
export interface IntakeWorld {
  readonly url: string;
  readonly db: Database;
  readonly hooks: readonly SeededRepository[];
  /** Ends the API as a power cut would, and starts it again. */
  killApi(): Promise<void>;
  /** The most memory the API now running ever had, in MB. */
  peakMb(): Promise<number>;
  stop(): Promise<void>;
}

export async function startIntakeWorld({ hooks: count }: { hooks: number }): Promise<IntakeWorld> {
  const parts = await startParts();
  try {
    return await startIn(parts, count);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

async function startIn(parts: TestParts, count: number): Promise<IntakeWorld> {
  const { home } = parts;
  // PostgreSQL's own user must be able to pass.
  await chmod(home, 0o711);
  const settings = readSettings([], { ...process.env, SLIPWAY_HOME: home });
  const [keys, ports] = [await openKeys(home), await choosePorts({ home, apiPort: 0 })];
  const context = { settings, keys, ports, tools: noTools };
  const { url, postgresUrl } = addressesOf(context);
  const { postgres: password } = keys.passwords;
  await parts.start(
    await postgresPart({ dataDir: join(home, 'postgres'), port: ports.postgres, password, isDurable: true }),
  );
  const db = createDatabase({ url: postgresUrl });
  await migrate(db);
  const secretBox = createSecretBox({ keys: parseKeyFile(await readFile(keys.files.kek, 'utf8')) });
  const hooks = [];
  for (let made = 0; made < count; made += 1) hooks.push(await seedRepository(db, secretBox));

  const { program } = apiPart(context);
  const { SLIPWAY_CONSOLE_DIR: _unused, ...env } = program.env ?? {};
  const startApi = async (): Promise<Child> => {
    const child = await startChild({ ...program, env }, { logFile: join(home, 'logs', 'api.log'), mark: home });
    await waitFor(() => answersHttp(`${url}/livez`), AbortSignal.timeout(60_000));
    return child;
  };
  let api = await startApi();
  return {
    url,
    db,
    hooks,
    async killApi() {
      process.kill(-api.pid, 'SIGKILL');
      await api.ended;
      api = await startApi();
    },
    async peakMb() {
      const status = await readFile(`/proc/${api.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
    },
    async stop() {
      await api.stop(10_000);
      await db.destroy();
      await parts.stop();
    },
  };
}

/** What is not started needs no program. */
const noTools = { registry: '', versitygw: '', buildkitd: '', buildctl: '', temporal: '', vulndb: '', trivy: '' };
