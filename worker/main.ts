import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { ConfigInvalid, readWorkerConfig } from '../domain/config.ts';
import type { WorkerConfig } from '../domain/config.ts';
import { buildQueue, roleSlots, taskQueues } from '../domain/task-queues.ts';
import { createWorkerDeps } from './deps.ts';
import type { WorkerDeps } from './deps.ts';
import { redact, RedactingInterceptor } from './redact.ts';
import { workerConnection } from './temporal.ts';

const bundleScript = fileURLToPath(new URL('bundle.ts', import.meta.url));

/** A worker process: one Worker per task queue of its roles. SIGTERM drains them; the second one ends at once. */
async function main(): Promise<void> {
  const config = readWorkerConfig(process.env);
  const log = pino({ level: config.SLIPWAY_LOG_LEVEL, base: { role: 'worker' } }, pino.destination(2));
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      // A failed activity is told by the interceptor, with its stack and without the task's token.
      if (meta?.['activityType'] === undefined) log.warn({ severity: level, ...meta }, message);
    }),
    shutdownSignals: [],
  });
  const deps = await createWorkerDeps(config, log);
  const connection = await connect(config, log);
  if (config.SLIPWAY_WORKER_ROLES.includes('chain')) await deps.schedules.ensureOwn();
  const workers = await createWorkers({ config, deps, connection, log });
  const drain = () => {
    log.info('draining');
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    process.once('SIGTERM', () => process.exit(143));
  };
  process.once('SIGTERM', drain);
  process.once('SIGINT', drain);
  log.info({ queues: workers.map((worker) => worker.options.taskQueue) }, 'worker started');
  try {
    await Promise.all(workers.map((worker) => worker.run()));
  } finally {
    await connection.close();
    await deps.close();
  }
}

/** Tries until the server answers: a worker that starts before Temporal simply waits for it. */
async function connect(config: WorkerConfig, log: Logger): Promise<NativeConnection> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await workerConnection(config);
    } catch (error) {
      if (tries % 10 === 0) log.warn({ error: String(error) }, 'Temporal cannot be reached yet');
      await delay(1_000);
    }
  }
}

interface WorkerParts {
  readonly config: WorkerConfig;
  readonly deps: WorkerDeps;
  readonly connection: NativeConnection;
  readonly log: Logger;
}

function createWorkers({ config, deps, connection, log }: WorkerParts): Promise<Worker[]> {
  const roles = new Set(config.SLIPWAY_WORKER_ROLES);
  const common: Omit<WorkerOptions, 'taskQueue'> = {
    connection,
    namespace: config.SLIPWAY_TEMPORAL_NAMESPACE,
    shutdownGraceTime: '30s',
    shutdownForceTime: '60s',
    // Cancellation comes as the answer to a heartbeat: with a beat each 500 ms it is noticed within 1.5 s.
    maxHeartbeatThrottleInterval: '1s',
    interceptors: {
      activity: [
        ({ info }) => ({
          inbound: new RedactingInterceptor((error) =>
            log.warn(
              { ...surpriseOf(error), activity: info.activityType, attempt: info.attempt },
              'an activity failed',
            ),
          ),
        }),
      ],
    },
  };
  const activityWorker = (taskQueue: string, slots: number) =>
    Worker.create({
      ...common,
      taskQueue,
      activities: deps.activities,
      maxConcurrentActivityTaskExecutions: slots,
      maxConcurrentActivityTaskPolls: Math.min(slots, 2),
    });
  const plain = (['control', 'registry', 'source', 'scan', 'replicate', 'trigger'] as const).filter((role) =>
    roles.has(role),
  );
  return Promise.all([
    ...plain.map((role) => activityWorker(taskQueues[role], roleSlots[role])),
    ...(roles.has('build')
      ? buildQueues(config, deps).map((queue) => activityWorker(queue, config.SLIPWAY_BUILD_SLOTS))
      : []),
    ...(roles.has('chain') ? [chainWorker(config, common)] : []),
  ]);
}

/** An error for the log: what it says and where it was thrown, with anything like a credential taken out. */
function surpriseOf(error: unknown): { error: string; stack?: string } {
  if (!(error instanceof Error)) return { error: redact(String(error)) };
  return {
    error: redact(`${error.name}: ${error.message}`),
    ...(error.stack === undefined ? {} : { stack: redact(error.stack) }),
  };
}

/** One queue per region and architecture that the daemon can build. */
function buildQueues(config: WorkerConfig, deps: WorkerDeps): string[] {
  return config.SLIPWAY_BUILD_REGIONS.flatMap((region) =>
    deps.platforms.map((platform) => buildQueue(region, platform)),
  );
}

async function chainWorker(config: WorkerConfig, common: Omit<WorkerOptions, 'taskQueue'>): Promise<Worker> {
  const codePath = config.SLIPWAY_WORKFLOW_BUNDLE ?? (await makeBundle(config));
  return Worker.create({
    ...common,
    taskQueue: taskQueues.chain,
    workflowBundle: { codePath },
    maxCachedWorkflows: 200,
  });
}

async function makeBundle(config: WorkerConfig): Promise<string> {
  const file = join(config.SLIPWAY_WORK_DIR, 'workflows.js');
  await promisify(execFile)(process.execPath, [bundleScript, file], { timeout: 120_000 });
  return file;
}

try {
  await main();
} catch (error) {
  process.stderr.write(
    `${error instanceof ConfigInvalid ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(1);
}
