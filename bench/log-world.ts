import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { openBuildLog, type BuildLog } from '../activities/build-log.ts';
import { createObjectStore } from '../activities/drivers/object-store.ts';
import { createDatabase } from '../db/database.ts';
import { migrate } from '../db/migrate.ts';
import { openKeys } from '../stack/keys.ts';
import { addressesOf, apiPart } from '../stack/parts.ts';
import { choosePorts } from '../stack/ports.ts';
import { objectStorePart } from '../stack/object-store.ts';
import { postgresPart } from '../stack/postgres.ts';
import { readSettings } from '../stack/settings.ts';
import { answersHttp } from '../stack/wait.ts';
import { seedBuild } from '../test/support/seed-build.ts';
import { startParts, type TestParts } from '../test/support/stack-parts.ts';
import { resolveTools } from '../tools/resolve.ts';

/** A database, an object store and a real API process, with builds to write the logs of. */
export interface LogWorld {
  /** Where the API is, and what a request to it carries. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  newBuild(): Promise<string>;
  /** As the activity that builds opens it. */
  openLog(buildId: string, secrets: readonly string[]): BuildLog;
  stop(): Promise<void>;
}

export async function startLogWorld(): Promise<LogWorld> {
  const parts = await startParts();
  try {
    return await startIn(parts);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

async function startIn(parts: TestParts): Promise<LogWorld> {
  // PostgreSQL's own user must be able to pass.
  await chmod(parts.home, 0o711);
  const tools = await resolveTools(['versitygw'], {
    env: process.env,
    onProgress: console.log,
    signal: AbortSignal.timeout(20 * 60_000),
  });
  const settings = readSettings([], { ...process.env, SLIPWAY_HOME: parts.home });
  const [keys, ports] = [await openKeys(parts.home), await choosePorts({ home: parts.home, apiPort: 0 })];
  const context = { settings, keys, ports, tools: { ...unusedTools, ...tools } };
  const { url, postgresUrl, objectStore: access } = addressesOf(context);
  const { passwords } = keys;
  await parts.start(
    await postgresPart({
      dataDir: join(parts.home, 'postgres'),
      port: ports.postgres,
      password: passwords.postgres,
      isDurable: true,
    }),
  );
  await parts.start(
    objectStorePart({
      binary: tools.versitygw,
      folder: join(parts.home, 'objects'),
      port: ports.objectStore,
      accessKey: access.accessKey,
      secretKey: access.secretKey,
    }),
  );
  const db = createDatabase({ url: postgresUrl });
  await migrate(db);
  const api = apiPart(context);
  const { SLIPWAY_CONSOLE_DIR: _unused, ...env } = api.program.env ?? {};
  // There is no Temporal: the API reads logs without.
  const isReady = () => answersHttp(`${url}/livez`);
  await parts.start({ ...api, program: { ...api.program, env }, isReady });
  const objectStore = createObjectStore({
    endpoint: access.endpoint,
    region: 'us-east-1',
    bucket: access.bucket,
    accessKeyId: access.accessKey,
    secretAccessKey: access.secretKey,
  });
  return {
    url,
    headers: { authorization: `Bearer ${keys.adminToken}` },
    newBuild: async () => (await seedBuild(db)).buildId,
    openLog: (buildId, secrets) =>
      openBuildLog({
        db,
        objectStore,
        clock: () => new Date(),
        buildId,
        platform: 'linux/amd64',
        runAttempt: 1,
        attempt: 1,
        secrets,
      }),
    async stop() {
      objectStore.close();
      await db.destroy();
      await parts.stop();
    },
  };
}

/** Programs of the stack that a log does not meet. */
const unusedTools = { registry: '', buildkitd: '', buildctl: '', temporal: '', vulndb: '', trivy: '' };
