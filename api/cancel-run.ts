import type { Database } from '../db/database.ts';
import {
  cancelRunWithoutWorkflow,
  getRunForCancel,
  noteRunCanceling,
  requestRunCancel,
} from '../db/repositories/run-cancel.ts';
import { conflict } from '../domain/errors.ts';
import type { Clock } from './deps.ts';
import type { Engine } from './engine.ts';

export interface CancelRunDeps {
  readonly db: Database;
  readonly engine: Pick<Engine, 'cancelRun'>;
  readonly clock: Clock;
}

/**
 * Cancels a run that has not ended (docs/product.md, section 12, "Cancel"); asking again is fine. A run that has no
 * workflow (not started yet, or lost) ends here and now, any other when its workflow has cleaned up. Errors: 404 `run.not_found`, 409 `endedCode`,
 * 503 `temporal.unreachable` with nothing changed.
 */
export async function cancelRun(
  { db, engine, clock }: CancelRunDeps,
  {
    runId,
    actor,
    endedCode = 'run.already_finished',
  }: { runId: string; actor: string; endedCode?: 'run.already_finished' | 'build.already_finished' },
): Promise<void> {
  const run = await getRunForCancel(db, runId);
  if (run.ended_at !== null) throw ended(endedCode);
  await requestRunCancel(db, { runId, actor });
  // One that waits for its turn has no workflow yet, whatever the engine says.
  const answer = run.is_waiting ? 'not_found' : await engine.cancelRun(run.workflow_id);
  const at = clock();
  if (answer === 'canceling') {
    await noteRunCanceling(db, { runId, actor, at });
    return;
  }
  // No workflow under this id: it was never started, was lost, or ended a moment ago.
  const isCanceled = await cancelRunWithoutWorkflow(db, { runId, actor, at });
  if (!isCanceled) throw ended(endedCode);
}

/**
 * Stops a run that gave way to a newer one: by its workflow, or here and now where it has none. Throws while the engine is away; the
 * sweeper comes back to it.
 */
export async function stopSuperseded(
  { db, engine, clock }: CancelRunDeps,
  { id, workflow_id: workflowId }: { id: string; workflow_id: string },
): Promise<void> {
  const answer = await engine.cancelRun(workflowId);
  const end = { runId: id, actor: null, at: clock() };
  if (answer === 'canceling') await noteRunCanceling(db, end);
  else await cancelRunWithoutWorkflow(db, end);
}

function ended(code: 'run.already_finished' | 'build.already_finished') {
  const what = code === 'run.already_finished' ? 'run' : 'build';
  return conflict(code, `The ${what} has ended, so there is nothing left to cancel. What it did stays as it is.`);
}
