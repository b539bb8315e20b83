import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { DeliveryChainInput, RunEnd, StepOutcome } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import { failureReason, successReason } from '../domain/record.ts';
import type { RunResult, RunTotals, SkipReason, StepName, StepState } from '../domain/record.ts';
import type { StepNote } from '../activities/record.ts';
import { endRun, recordSteps, startRun } from './activities.ts';

/**
 * Does one step's work between its two records: `running`, then how it ended. Instead of work it takes the reason why there is none;
 * the step is then skipped and the answer null. A failure is recorded and thrown as `StepFailed`, a cancellation recorded and thrown on.
 */
export interface Step {
  <Outcome extends StepOutcome<unknown>>(name: StepName, work: () => Promise<Outcome>): Promise<Outcome>;
  <Outcome extends StepOutcome<unknown>>(
    name: StepName,
    work: (() => Promise<Outcome>) | SkipReason,
  ): Promise<Outcome | null>;
}

/** A step could not do its work: a result of the run, not a defect of ours. */
class StepFailed extends Error {
  readonly step: StepName;
  readonly reason: Reason;

  constructor(step: StepName, reason: Reason) {
    super(reason.text);
    this.name = 'StepFailed';
    this.step = step;
    this.reason = reason;
  }
}

interface Verdict {
  readonly result: RunResult;
  readonly reason: Reason;
}

/** The story's good end, with what its sentence counts; `recordRun` adds the time. */
export interface Success {
  readonly result: 'success';
  readonly totals: Omit<RunTotals, 'durationMs'>;
}

/**
 * Runs the story of a chain and keeps its Record true whatever happens: steps not reached become skipped, a failed step makes the
 * run failed, the deadline too; a cancellation is recorded and thrown on, so that the workflow closes as Canceled.
 */
export async function recordRun(
  input: DeliveryChainInput,
  story: (step: Step) => Promise<Verdict | Success>,
): Promise<RunEnd> {
  const states: Record<StepName, StepState> = {
    build: 'skipped',
    push: 'skipped',
    scan: 'skipped',
    replicate: 'skipped',
    trigger: 'skipped',
  };
  const notes = createNotes(input);
  const step = createStep({ notes, states });
  const startedMs = Date.now();
  const root = CancellationScope.current();
  const work = new CancellationScope({ cancellable: true, timeout: input.timings.deadlineMs });
  const end = async ({ result, reason }: Verdict): Promise<RunEnd> => {
    await notes.landed();
    await unstoppable(() => endRun({ runId: input.runId, attempt: input.attempt, result, reason, atMs: Date.now() }));
    return { result, reason, steps: states };
  };
  notes.start(startedMs);
  try {
    const told = await work.run(() => story(step));
    return await end(
      'totals' in told
        ? { result: 'success', reason: successReason({ ...told.totals, durationMs: Date.now() - startedMs }) }
        : told,
    );
  } catch (error) {
    if (error instanceof StepFailed) return end({ result: 'failed', reason: failureReason(error.step, error.reason) });
    if (isCancellation(error) && !root.consideredCancelled) return end(deadlinePassed(input.timings.deadlineMs));
    if (isCancellation(error)) {
      await end({ result: 'canceled', reason: { code: 'run.canceled', params: {}, text: 'Canceled' } });
      throw error;
    }
    log.error('the chain itself failed', { error });
    await end({
      result: 'failed',
      reason: {
        code: 'internal',
        params: {},
        text: 'Failed through a defect of Slipway; the worker log has the details',
      },
    });
    throw ApplicationFailure.nonRetryable(error instanceof Error ? error.message : 'unknown defect', 'internal');
  }
}

/** Writes of the Record that go on while the chain goes on: its pace is not theirs. All have landed before the run ends. */
interface Notes {
  start(atMs: number): void;
  /** A step's end waits for what comes next, the following step or the run's end, and is written together with it. */
  add(note: StepNote): void;
  landed(): Promise<unknown>;
}

function createNotes({ runId, attempt }: DeliveryChainInput): Notes {
  const writes: Promise<void>[] = [];
  let steps: StepNote[] = [];
  const write = (work: () => Promise<void>) => {
    const written = unstoppable(work);
    // What fails here fails in `landed`; until then nobody listens.
    written.catch(() => undefined);
    writes.push(written);
  };
  const flush = () => {
    if (steps.length === 0) return;
    const noted = steps;
    steps = [];
    write(() => recordSteps({ runId, attempt, steps: noted }));
  };
  return {
    start: (atMs) => write(() => startRun({ runId, atMs })),
    add: (note) => {
      steps.push(note);
      if (note.state === 'running') flush();
    },
    landed: () => {
      flush();
      return Promise.all(writes);
    },
  };
}

function createStep({ notes, states }: { notes: Notes; states: Record<StepName, StepState> }): Step {
  const startedMs: Partial<Record<StepName, number>> = {};
  const write = (name: StepName, state: StepState, outcome: Partial<StepOutcome<unknown>> = {}) => {
    states[name] = state;
    const { why = null, reason = null, result = null } = outcome;
    const atMs = Date.now();
    if (state === 'running') startedMs[name] = atMs;
    const startedAtMs = startedMs[name] ?? null;
    notes.add({ name, state, why, reason, result, startedAtMs, atMs });
  };
  async function step<Outcome extends StepOutcome<unknown>>(
    name: StepName,
    work: () => Promise<Outcome>,
  ): Promise<Outcome>;
  async function step<Outcome extends StepOutcome<unknown>>(
    name: StepName,
    work: (() => Promise<Outcome>) | SkipReason,
  ): Promise<Outcome | null>;
  async function step<Outcome extends StepOutcome<unknown>>(
    name: StepName,
    work: (() => Promise<Outcome>) | SkipReason,
  ): Promise<Outcome | null> {
    if (typeof work === 'string') {
      write(name, 'skipped', { why: work });
      return null;
    }
    write(name, 'running');
    try {
      const outcome = await work();
      write(name, outcome.state, outcome);
      return outcome;
    } catch (error) {
      if (isCancellation(error)) {
        write(name, 'canceled');
        throw error;
      }
      const reason = reasonOf(name, error);
      write(name, 'failed', { reason });
      throw new StepFailed(name, reason);
    }
  }
  return step;
}

/** Writes of the Record land even while the run is being canceled. */
function unstoppable<Result>(write: () => Promise<Result>): Promise<Result> {
  return CancellationScope.nonCancellable(write);
}

/** An activity's error as the sentence on the Record: its failure type is the code, its first detail the parameters. */
export function reasonOf(step: StepName, error: unknown): Reason {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const code = cause.type?.includes('.') ? cause.type : `${step}.failed`;
    return { code, params: paramsOf(cause.details?.[0]), text: cause.message };
  }
  if (cause instanceof TimeoutFailure) {
    const last = cause.cause instanceof Error ? `: ${cause.cause.message}` : '';
    return { code: `${step}.timeout`, params: {}, text: `it did not succeed within its time${last}` };
  }
  // Not an outcome of an activity: a defect of the chain, which recordRun reports as one.
  throw error;
}

function paramsOf(detail: unknown): Reason['params'] {
  if (typeof detail !== 'object' || detail === null) return {};
  const entries = Object.entries(detail).filter(
    (entry): entry is [string, string | number] => typeof entry[1] === 'string' || typeof entry[1] === 'number',
  );
  return Object.fromEntries(entries);
}

function deadlinePassed(deadlineMs: number): Verdict {
  const hours = Math.round(deadlineMs / 360_000) / 10;
  return {
    result: 'failed',
    reason: {
      code: 'run.deadline',
      params: { hours },
      text: `Failed: the run did not end within its deadline of ${hours} h`,
    },
  };
}
