import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import type { ServerType } from '@hono/node-server';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { createEgress } from '../activities/drivers/egress.ts';
import { startEgressProxy } from '../activities/drivers/egress-proxy.ts';
import { createGit } from '../activities/drivers/git.ts';
import { createLoginTokens } from '../activities/drivers/login-token.ts';
import { createObjectStore } from '../activities/drivers/object-store.ts';
import { createRegistries } from '../activities/drivers/registries.ts';
import { createRegistryTokens } from '../activities/drivers/registry-token.ts';
import { createSecretBox, parseKeyFile } from '../activities/drivers/secret-box.ts';
import { parseTokenKey } from '../activities/drivers/token-key.ts';
import { createDatabase } from '../db/database.ts';
import { createListener } from '../db/listener.ts';
import { logChannel, progressChannel } from '../db/repositories/build-log.ts';
import { commitStatusChannel } from '../db/repositories/commit-status.ts';
import { inboxChannel } from '../db/repositories/inbox.ts';
import { findInstance } from '../db/repositories/instance.ts';
import { runChannel } from '../db/repositories/record.ts';
import { startChannel } from '../db/repositories/run-concurrency.ts';
import { openSecret } from '../db/repositories/secret.ts';
import { ConfigInvalid, egressPolicyOf, readConfig } from '../domain/config.ts';
import type { Config } from '../domain/config.ts';
import { wireSourceAccess } from '../worker/source-access.ts';
import { lazyConnection } from '../worker/temporal.ts';
import { createApp } from './app.ts';
import { sha256 } from './auth.ts';
import type { ApiDeps } from './deps.ts';
import { createCommitStatuses } from './commit-statuses.ts';
import { createDispatcher } from './dispatch.ts';
import { createEngine } from './engine.ts';
import { createCursors } from './page.ts';
import { createSourceTips } from './source-tips.ts';
import { createRunStarter } from './start-run.ts';

const healthCheckMs = 1_000;
/** Requests under way get this long after SIGTERM. */
const drainMs = 5_000;

/** An API process: HTTP, the dispatcher of the inbox, and the sweeper of unstarted runs. SIGTERM drains it. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = pino({ level: config.SLIPWAY_LOG_LEVEL, base: { role: 'api' } }, pino.destination(2));
  const { deps, start, stop } = await wire(config, log);
  const server = await listen(config, deps);
  await start();
  log.info({ url: config.SLIPWAY_URL }, 'api started');
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  process.once('SIGTERM', () => process.exit(143));
  log.info('stopping');
  await stop(() => closeServer(server));
}

async function wire(config: Config, log: Logger) {
  const clock = () => new Date();
  const stopping = new AbortController();
  const db = createDatabase({
    url: config.SLIPWAY_POSTGRES_URL,
    onPoolError: (error) => log.warn({ error: error.message }, 'a database connection was lost'),
  });
  const listener = createListener({
    url: config.SLIPWAY_POSTGRES_URL,
    channels: [inboxChannel, runChannel, logChannel, progressChannel, startChannel, commitStatusChannel],
    onError: (error) => log.warn({ error: error.message }, 'the listening connection was lost'),
  });
  const tokenKey = parseTokenKey(await readFile(config.SLIPWAY_TOKEN_KEY_FILE, 'utf8'));
  const adminToken = (await readFile(config.SLIPWAY_ADMIN_TOKEN_FILE, 'utf8')).trim();
  const secretBox = createSecretBox({ keys: parseKeyFile(await readFile(config.SLIPWAY_KEY_FILE, 'utf8')) });
  const egressPolicy = egressPolicyOf(config);
  const egress = createEgress({ policy: egressPolicy });
  const egressProxy = await startEgressProxy({ policy: egressPolicy });
  const loginTokens = createLoginTokens({ key: tokenKey });
  const objectStore = createObjectStore({
    endpoint: config.SLIPWAY_OBJECT_STORE_ENDPOINT,
    region: config.SLIPWAY_OBJECT_STORE_REGION,
    bucket: config.SLIPWAY_OBJECT_STORE_BUCKET,
    accessKeyId: config.SLIPWAY_OBJECT_STORE_ACCESS_KEY,
    secretAccessKey: config.SLIPWAY_OBJECT_STORE_SECRET_KEY,
  });
  const engine = createEngine({
    connection: lazyConnection(config),
    namespace: config.SLIPWAY_TEMPORAL_NAMESPACE,
  });
  const starter = createRunStarter({ db, engine, listener, clock, log });
  const git = createGit({
    path: process.env['PATH'] ?? '',
    isHttpAllowed: egressPolicy.isHttpAllowed,
    egressProxy: egressProxy.url,
  });
  const sourceAccess = await wireSourceAccess(config, { db, secretBox, clock });
  const sourceTips = createSourceTips({
    db,
    git,
    openLogin: (address, call) => sourceAccess.sourceLogins.git(address, call),
    clock,
    log,
  });
  const dispatcher = createDispatcher({
    db,
    starter,
    listener,
    sourceTips,
    timings: config.SLIPWAY_TIMINGS,
    queueLimit: config.SLIPWAY_WAITING_BUILDS,
    clock,
    log,
  });
  const commitStatuses = createCommitStatuses({ db, engine, listener, timings: config.SLIPWAY_TIMINGS, log });

  /** Also makes the bucket, which the store may have lost with its disk. */
  const isStoreReachable = () => answers(objectStore.bucketEnsure({ signal: AbortSignal.timeout(healthCheckMs) }));

  const deps: ApiDeps = {
    db,
    config,
    log,
    clock,
    cursors: createCursors(secretBox),
    adminTokenHash: sha256(adminToken),
    secretBox,
    loginTokens,
    registryTokens: createRegistryTokens({ key: tokenKey }),
    egressPolicy,
    resolveHost: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
    git,
    ...sourceAccess,
    registries: createRegistries({
      findInstance: (idOrName) => findInstance(db, idOrName),
      loginTokens,
      openSecret: (ref) => openSecret(db, secretBox, ref),
      tokenServer: config.SLIPWAY_TOKEN_URL ?? config.SLIPWAY_URL,
      dispatcher: egress.dispatcher,
    }),
    engine,
    starter,
    listener,
    objectStore,
    stopping: stopping.signal,
    readiness: {
      degraded: async () => {
        const [hasTemporal, hasStore] = await Promise.all([engine.isReachable(), isStoreReachable()]);
        return [...(hasTemporal ? [] : (['temporal'] as const)), ...(hasStore ? [] : (['store'] as const))];
      },
    },
  };

  return {
    deps,
    start: async () => {
      await listener.start();
      if (!(await isStoreReachable())) log.warn('the object store cannot be reached yet');
      dispatcher.watch();
      starter.watch();
      commitStatuses.watch();
    },
    /** Not ready first, then no more requests, then no more work, then no more connections. */
    stop: async (closeHttp: () => Promise<void>) => {
      stopping.abort();
      await closeHttp();
      await dispatcher.stop();
      await starter.stop();
      await commitStatuses.stop();
      await listener.stop();
      await engine.close();
      await egressProxy.close();
      await egress.close();
      objectStore.close();
      await db.destroy();
    },
  };
}

async function answers(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch {
    return false;
  }
}

/** Rejects with a sentence that names the port when it is taken. */
function listen(config: Config, deps: ApiDeps): Promise<ServerType> {
  const { SLIPWAY_HOST: hostname, SLIPWAY_PORT: port } = config;
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: createApp(deps).fetch, hostname, port }, () => resolve(server));
    server.once('error', (error) =>
      reject(new Error(`The API cannot listen on ${hostname}:${port}: ${error.message}`, { cause: error })),
    );
  });
}

/** Streams are open without end, so after a while connections are cut; clients resume elsewhere. */
async function closeServer(server: ServerType): Promise<void> {
  const isClosed = new Promise<void>((resolve) => server.close(() => resolve()));
  if ('closeIdleConnections' in server) server.closeIdleConnections();
  await Promise.race([isClosed, delay(drainMs, undefined, { ref: false })]);
  if ('closeAllConnections' in server) server.closeAllConnections();
  await isClosed;
}

try {
  await main();
} catch (error) {
  const text = error instanceof ConfigInvalid ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
