import type { Logger } from 'pino';
import { listUnstartedRuns, noteRunStarted } from '../db/repositories/run-start.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import type { Database } from '../db/database.ts';
import type { Clock } from './deps.ts';
import type { Engine } from './engine.ts';

/** How old a queued run must be before the sweeper takes it for one that was never started. */
const unstartedAfterMs = 30_000;
const sweepIntervalMs = 10_000;
const sweepBatch = 50;

/** Starts the workflows of inserted runs: at once after the commit, and by a sweep for those whose start went wrong. */
export interface RunStarter {
  /** Starts one run's workflow. Never throws: what fails now is the sweeper's, the row says so. */
  start(run: StartableRun): Promise<void>;
  /** Starts every queued run without a note that is older than 30 s; answers how many. Stops at the first failure. */
  sweep(): Promise<number>;
  /** Sweeps every 10 s from now on. */
  watch(): void;
  /** Ends the sweeping and waits for starts under way. */
  stop(): Promise<void>;
}

export interface RunStarterDeps {
  readonly db: Database;
  readonly engine: Pick<Engine, 'startRun' | 'cancelRun'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createRunStarter(deps: RunStarterDeps): RunStarter {
  const underWay = new Set<Promise<unknown>>();
  let timer: NodeJS.Timeout | undefined;
  const tracked = <Result>(work: Promise<Result>): Promise<Result> => {
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  };
  const sweep = () => tracked(sweepOnce(deps));
  return {
    start: (run) => tracked(tryStart(deps, run).then(() => undefined)),
    sweep,
    watch() {
      timer = setInterval(() => {
        sweep().catch((error: unknown) => deps.log.warn({ err: error }, 'sweeping unstarted runs failed'));
      }, sweepIntervalMs);
    },
    async stop() {
      clearInterval(timer);
      await Promise.allSettled(underWay);
    },
  };
}

/**
 * Rows are read without a lock: starting twice is harmless (the workflow's id is the same), and a lock held over the calls would
 * keep a transaction open for as long as Temporal takes.
 */
async function sweepOnce(deps: RunStarterDeps): Promise<number> {
  const queuedBefore = new Date(deps.clock().getTime() - unstartedAfterMs);
  let started = 0;
  for (const run of await listUnstartedRuns(deps.db, { queuedBefore, limit: sweepBatch })) {
    if (!(await tryStart(deps, run))) return started;
    started += 1;
  }
  return started;
}

async function tryStart({ db, engine, clock, log }: RunStarterDeps, run: StartableRun): Promise<boolean> {
  if (run.status !== 'queued') return true;
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
