import type { Logger } from 'pino';
import type { Database } from '../db/database.ts';
import type { Listener } from '../db/listener.ts';
import { releaseStranded, startChannel } from '../db/repositories/run-concurrency.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import {
  findUnstartedRun,
  listSuperseded,
  listUnstartedRuns,
  noteRunStarted,
} from '../db/repositories/run-startable.ts';
import { noteWorkerless } from './build-workers.ts';
import { stopSuperseded } from './cancel-run.ts';
import type { Clock } from './deps.ts';
import type { Engine } from './engine.ts';

/** How old a queued run must be before the sweeper takes it for one that was never started. */
const unstartedAfterMs = 30_000;
const sweepIntervalMs = 10_000;
const sweepBatch = 50;

/**
 * Starts the workflows of inserted runs: at once after the commit, when the run before has ended (a notice), and by a sweep for those
 * whose start went wrong. Runs that give way to a newer one are stopped by the same hands.
 */
export interface RunStarter {
  /** Starts one run's workflow, unless it waits for its turn, and stops what gives way to it. Never throws: what fails now is the sweeper's, the row says so. */
  start(run: StartableRun): Promise<void>;
  /**
   * Starts every queued run without a note that is older than 30 s; answers how many. Stops at the first failure. Also stops what gave
   * way and still runs, releases what waits behind nothing, and
   * says on Records which worker is missing.
   */
  sweep(): Promise<number>;
  /** Works on notices, and sweeps every 10 s, from now on. */
  watch(): void;
  /** Ends the sweeping and waits for starts under way. */
  stop(): Promise<void>;
}

export interface RunStarterDeps {
  readonly db: Database;
  readonly engine: Pick<Engine, 'startRun' | 'cancelRun'>;
  readonly listener: Pick<Listener, 'on'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createRunStarter(deps: RunStarterDeps): RunStarter {
  const underWay = new Set<Promise<unknown>>();
  let timer: NodeJS.Timeout | undefined;
  let stopListening = () => {};
  const tracked = <Result>(work: Promise<Result>): Promise<Result> => {
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  };
  const sweep = () => tracked(sweepOnce(deps));
  return {
    start: (run) => tracked(startAndSupersede(deps, run)),
    sweep,
    watch() {
      stopListening = deps.listener.on(startChannel, (runId) => {
        if (runId !== null) void tracked(startReleased(deps, runId));
      });
      timer = setInterval(() => {
        sweep().catch((error: unknown) => deps.log.warn({ err: error }, 'sweeping unstarted runs failed'));
      }, sweepIntervalMs);
    },
    async stop() {
      clearInterval(timer);
      stopListening();
      await Promise.allSettled(underWay);
    },
  };
}

async function startAndSupersede(deps: RunStarterDeps, run: StartableRun): Promise<void> {
  await Promise.all([tryStart(deps, run), run.supersedes_id === null ? undefined : tryStop(deps, { by: run.id })]);
}

/** A notice may come to several processes, and late: the row says whether there is still something to start. */
async function startReleased(deps: RunStarterDeps, runId: string): Promise<void> {
  try {
    const run = await findUnstartedRun(deps.db, runId);
    if (run !== undefined) await startAndSupersede(deps, run);
  } catch (error) {
    deps.log.warn({ err: error, runId }, 'the released run could not be read now; the sweeper will');
  }
}

/**
 * Rows are read without a lock: starting twice is harmless (the workflow's id is the same), and a lock held over the calls would
 * keep a transaction open for as long as Temporal takes.
 */
async function sweepOnce(deps: RunStarterDeps): Promise<number> {
  const at = deps.clock();
  await releaseStranded(deps.db, { at, limit: sweepBatch });
  const queuedBefore = new Date(at.getTime() - unstartedAfterMs);
  let started = 0;
  for (const run of await listUnstartedRuns(deps.db, { queuedBefore, limit: sweepBatch })) {
    if (!(await tryStart(deps, run))) return started;
    started += 1;
  }
  await tryStop(deps, {});
  await noteWorkerless(deps);
  return started;
}

async function tryStart({ db, engine, clock, log }: RunStarterDeps, run: StartableRun): Promise<boolean> {
  if (run.status !== 'queued' || run.is_waiting) return true;
  try {
    const { workflowRunId } = await engine.startRun(run.input, run.workflow_id);
    const status = await noteRunStarted(db, { runId: run.id, workflowRunId, at: clock() });
    // Canceled while the start was on its way: the cancellation found no workflow then, so it is repeated now.
    if (status === 'canceling' || status === 'canceled') await engine.cancelRun(run.workflow_id);
    return true;
  } catch (error) {
    log.warn({ err: error, runId: run.id }, 'the run could not be started now; the sweeper will');
    return false;
  }
}

async function tryStop(deps: RunStarterDeps, { by }: { by?: string }): Promise<void> {
  try {
    const olders = await listSuperseded(deps.db, { limit: sweepBatch, ...(by === undefined ? {} : { by }) });
    for (const older of olders) await stopSuperseded(deps, older);
  } catch (error) {
    deps.log.warn({ err: error, by }, 'a superseded run could not be stopped now; the sweeper will');
  }
}
