import { mkdir, readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { sweepWorkspaces } from '../activities/workspace.ts';
import { createEgress } from '../activities/drivers/egress.ts';
import { startEgressProxy } from '../activities/drivers/egress-proxy.ts';
import { createGit } from '../activities/drivers/git.ts';
import { createLoginTokens } from '../activities/drivers/login-token.ts';
import { createObjectStore } from '../activities/drivers/object-store.ts';
import { runProcess } from '../activities/drivers/process.ts';
import { createRegistryClient } from '../activities/drivers/registry.ts';
import { createRegistries } from '../activities/drivers/registries.ts';
import { imageCopy } from '../activities/drivers/registry-copy.ts';
import { createSecretBox, parseKeyFile } from '../activities/drivers/secret-box.ts';
import { parseTokenKey } from '../activities/drivers/token-key.ts';
import { createTrivy } from '../activities/drivers/trivy.ts';
import { createWebhookSender } from '../activities/drivers/webhook.ts';
import { createActivities } from '../activities/index.ts';
import type { Activities } from '../activities/index.ts';
import { createDatabase } from '../db/database.ts';
import { findInstance } from '../db/repositories/instance.ts';
import { openSecret } from '../db/repositories/secret.ts';
import type { Architecture } from '../domain/build.ts';
import { egressPolicyOf } from '../domain/config.ts';
import type { WorkerConfig } from '../domain/config.ts';
import { wireSourceAccess } from './source-access.ts';
import { keptDaysOf } from '../domain/retention.ts';
import { createExecutor } from './executor.ts';
import { startHeartbeat } from './heartbeat.ts';
import { createSchedules } from './schedules.ts';
import type { Schedules } from './schedules.ts';
import { lazyConnection } from './temporal.ts';

/** What a worker process is made of. */
export interface WorkerDeps {
  readonly activities: Activities;
  /** Architectures the build daemon offers; none without the role `build`. */
  readonly platforms: readonly Architecture[];
  /** Slipway's recurring work. */
  readonly schedules: Pick<Schedules, 'ensureOwn'>;
  close(): Promise<void>;
}

/** Wires the drivers and the activities of one worker process, and sweeps what an earlier one left. */
export async function createWorkerDeps(config: WorkerConfig, log: Logger): Promise<WorkerDeps> {
  const clock = () => new Date();
  const workDir = config.SLIPWAY_WORK_DIR;
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  await sweepWorkspaces(workDir);

  const db = createDatabase({
    url: config.SLIPWAY_POSTGRES_URL,
    onPoolError: (error) => log.warn({ error: error.message }, 'a database connection was lost'),
  });
  const secretBox = createSecretBox({ keys: parseKeyFile(await readFile(config.SLIPWAY_KEY_FILE, 'utf8')) });
  const policy = egressPolicyOf(config);
  const egress = createEgress({ policy });
  const egressProxy = await startEgressProxy({ policy });
  const registries = createRegistries({
    findInstance: (idOrName) => findInstance(db, idOrName),
    loginTokens: createLoginTokens({ key: parseTokenKey(await readFile(config.SLIPWAY_TOKEN_KEY_FILE, 'utf8')) }),
    openSecret: (ref) => openSecret(db, secretBox, ref),
    tokenServer: config.SLIPWAY_TOKEN_URL ?? config.SLIPWAY_URL,
    dispatcher: egress.dispatcher,
  });
  const executor = await createExecutor({ config, db, policy, clock, log });
  const engine = lazyConnection(config);
  const schedules = createSchedules({ connection: engine, namespace: config.SLIPWAY_TEMPORAL_NAMESPACE });
  const activities = createActivities({
    db,
    clock,
    timings: config.SLIPWAY_TIMINGS,
    queueLimit: config.SLIPWAY_WAITING_BUILDS,
    ruleSchedules: schedules,
    outsideRegistry: (url) => createRegistryClient({ endpoint: { url }, dispatcher: egress.dispatcher }),
    keptDays: keptDaysOf(config),
    workDir,
    registries,
    imageCopy,
    executor,
    git: createGit({
      path: process.env['PATH'] ?? '',
      isHttpAllowed: policy.isHttpAllowed,
      egressProxy: egressProxy.url,
    }),
    objectStore: createObjectStore({
      endpoint: config.SLIPWAY_OBJECT_STORE_ENDPOINT,
      region: config.SLIPWAY_OBJECT_STORE_REGION,
      bucket: config.SLIPWAY_OBJECT_STORE_BUCKET,
      accessKeyId: config.SLIPWAY_OBJECT_STORE_ACCESS_KEY,
      secretAccessKey: config.SLIPWAY_OBJECT_STORE_SECRET_KEY,
    }),
    trivy: createTrivy({
      trivy: config.SLIPWAY_TOOL_TRIVY ?? 'trivy',
      cacheDir: config.SLIPWAY_TRIVY_CACHE_DIR,
      workDir,
      databaseRepository: config.SLIPWAY_TRIVY_DB_REPOSITORY,
      runProcess,
      clock,
      onDownloadFailed: (error) => log.warn({ error: String(error) }, 'the vulnerability data could not be renewed'),
    }),
    webhook: createWebhookSender({
      openEgress: ({ ca }) => createEgress({ policy, ...(ca === undefined ? {} : { ca }) }),
      clock,
    }),
    secretBox,
    ...(await wireSourceAccess(config, { db, secretBox, clock })),
    openSecret: (ref) => openSecret(db, secretBox, ref),
    publicUrl: config.SLIPWAY_URL,
  });
  const hasBuildRole = config.SLIPWAY_WORKER_ROLES.includes('build');
  const platforms = hasBuildRole ? await executor.platforms({ signal: AbortSignal.timeout(60_000) }) : [];
  const heartbeat = await startHeartbeat({
    db,
    clock,
    log,
    regions: hasBuildRole ? config.SLIPWAY_BUILD_REGIONS : [],
    platforms,
    slots: config.SLIPWAY_BUILD_SLOTS,
    isolation: config.SLIPWAY_BUILD_ISOLATION,
  });
  return {
    activities,
    schedules,
    platforms,
    close: async () => {
      await engine.close();
      await heartbeat.stop();
      await executor.close();
      await egressProxy.close();
      await egress.close();
      await db.destroy();
    },
  };
}
