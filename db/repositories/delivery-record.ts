import type { Reason } from '../../domain/errors.ts';
import { progressAfterEnd, triggerProgress } from '../../domain/trigger.ts';
import type { TriggerProgress } from '../../domain/trigger.ts';
import type { Database } from '../database.ts';
import type { RunTrigger } from '../tables/record.ts';
import type { DeliveryRow } from '../tables/trigger.ts';
import { recordChild } from './record.ts';

/** Writes every trigger of a run to its Record; those deleted since the start of the run are said to be. */
export async function recordOpenedTriggers(
  db: Database,
  run: { readonly runId: string; readonly attempt: number },
  { triggers, deleted, at }: { triggers: readonly Pick<RunTrigger, 'id'>[]; deleted: readonly RunTrigger[]; at: Date },
): Promise<void> {
  for (const { id } of triggers) await recordTrigger(db, { runId: run.runId, triggerId: id, at });
  for (const { id, definition } of deleted) {
    const result = { name: definition.name, deliveries: [] };
    await recordChild(db, {
      ...run,
      step: 'trigger',
      key: id,
      state: 'skipped',
      reason: deletedSince,
      result,
      at,
    });
  }
}

const deletedSince: Reason = {
  code: 'trigger.deleted',
  params: {},
  text: 'The trigger was deleted after the run had started, so it was not called',
};

/**
 * Writes the trigger's state on the Record, from all its deliveries of the run; also after the step has ended. Deliveries of one
 * trigger end side by side: each looks again after its write, so that the last word is never an old one.
 */
export async function recordTrigger(
  db: Database,
  { runId, triggerId, at }: { runId: string; triggerId: string; at: Date },
): Promise<void> {
  let written: string | undefined;
  for (;;) {
    const found = await findTriggerOfRun(db, { runId, triggerId });
    if (found === undefined || found.deliveries.length === 0) return;
    const now = triggerProgress(found.deliveries);
    const progress = found.shown === undefined ? now : progressAfterEnd(found.shown, now);
    const deliveries = found.deliveries.map(({ id, tag, status }) => ({ id, tag, status }));
    const news = JSON.stringify([progress, deliveries]);
    if (news === written) return;
    written = news;
    await recordChild(db, {
      runId,
      attempt: found.attempt,
      step: 'trigger',
      key: triggerId,
      ...progress,
      result: { name: found.name, deliveries },
      at,
    });
  }
}

/** One trigger's deliveries of a run, what the Record shows of it now, and the run's attempt. */
interface TriggerOfRun {
  readonly name: string;
  readonly attempt: number;
  readonly deliveries: readonly Pick<DeliveryRow, 'id' | 'tag' | 'status' | 'reason'>[];
  readonly shown: TriggerProgress | undefined;
}

async function findTriggerOfRun(
  db: Database,
  { runId, triggerId }: { runId: string; triggerId: string },
): Promise<TriggerOfRun | undefined> {
  const found = await db
    .selectFrom('run')
    .innerJoin('trigger', (join) => join.on('trigger.id', '=', triggerId))
    .leftJoin('run_step_child as child', (join) =>
      join
        .onRef('child.run_id', '=', 'run.id')
        .onRef('child.attempt', '=', 'run.attempt')
        .on('child.step', '=', 'trigger')
        .on('child.key', '=', triggerId),
    )
    .select(['run.attempt', 'trigger.name', 'child.state', 'child.reason'])
    .where('run.id', '=', runId)
    .executeTakeFirst();
  if (found === undefined) return undefined;
  const deliveries = await db
    .selectFrom('delivery')
    .select(['id', 'tag', 'status', 'reason'])
    .where('run_id', '=', runId)
    .where('trigger_id', '=', triggerId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  const { name, attempt, state, reason } = found;
  return { name, attempt, deliveries, shown: state === null ? undefined : { state, reason } };
}
