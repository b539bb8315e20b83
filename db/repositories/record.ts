import { sql } from 'kysely';
import type { Transaction } from 'kysely';
import type { RunImages } from '../../domain/chain.ts';
import type { Reason } from '../../domain/errors.ts';
import { stepNames } from '../../domain/record.ts';
import type { SkipReason, StepName, StepState } from '../../domain/record.ts';
import type { Database } from '../database.ts';
import type { Schema } from '../schema.ts';
import { noteCommitChange } from './commit-status.ts';

/** The channel on which every change of a run is announced; the payload is the run's id. */
export const runChannel = 'slipway_run';

/** One step's state as the Record keeps it. `at` is when it happened; writes may arrive in another order. */
export interface StepRecord {
  readonly runId: string;
  readonly attempt: number;
  readonly name: StepName;
  readonly state: StepState;
  readonly why: SkipReason | null;
  readonly reason: Reason | null;
  readonly result: unknown;
  readonly startedAt: Date | null;
  readonly at: Date;
}

/** One architecture, destination or trigger of a step. */
export interface ChildRecord {
  readonly runId: string;
  readonly attempt: number;
  readonly step: StepName;
  readonly key: string;
  readonly state: StepState;
  readonly reason: Reason | null;
  readonly result: unknown;
  readonly at: Date;
}

const openStates = ['waiting', 'running'] as const;

/** Appends to the run's trail and announces it, in the caller's transaction: state and event are committed together. */
export async function recordRunEvent(
  trx: Transaction<Schema>,
  { runId, type, data, at }: { runId: string; type: string; data: unknown; at: Date },
): Promise<void> {
  const run = await trx
    .updateTable('run')
    .set((eb) => ({ version: eb('version', '+', 1) }))
    .where('id', '=', runId)
    .returning(['version', 'chain_id', 'repository_id', 'commit'])
    .executeTakeFirst();
  if (run === undefined) return;
  await trx
    .insertInto('run_event')
    .values({
      run_id: runId,
      chain_id: run.chain_id,
      type,
      data: JSON.stringify(data ?? null),
      version: run.version,
      at,
    })
    .execute();
  await sql`select pg_notify(${runChannel}, ${runId})`.execute(trx);
  if (type.startsWith('run.') && run.commit !== null)
    await noteCommitChange(trx, { repositoryId: run.repository_id, commit: run.commit, chainId: run.chain_id, at });
}

/** Marks the run as taken up by its workflow. Repeated calls change nothing. */
export async function recordRunStart(db: Database, { runId, at }: { runId: string; at: Date }): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const started = await trx
      .updateTable('run')
      .set({ status: 'running', started_at: at, started_note_at: sql`coalesce(started_note_at, ${at})` })
      .where('id', '=', runId)
      .where('status', '=', 'queued')
      .executeTakeFirst();
    if (started.numUpdatedRows > 0n) await recordRunEvent(trx, { runId, type: 'run.started', data: null, at });
  });
}

/**
 * Writes a step's state; an ended step takes its open children along: canceled with it, else failed with its reason. A step that
 * has ended is left only by the same state again, so a late retry of the write changes nothing.
 */
export async function recordStep(db: Database, step: StepRecord): Promise<void> {
  const isOpen = step.state === 'waiting' || step.state === 'running';
  await db.transaction().execute(async (trx) => {
    const values = {
      state: step.state,
      why: step.why,
      reason: JSON.stringify(step.reason),
      result: JSON.stringify(step.result ?? null),
      started_at: step.startedAt,
      ...(isOpen ? {} : { ended_at: step.at }),
    };
    const written = await trx
      .insertInto('run_step')
      .values({
        run_id: step.runId,
        attempt: step.attempt,
        name: step.name,
        ordinal: stepNames.indexOf(step.name),
        ...values,
      })
      .onConflict((conflict) =>
        conflict.columns(['run_id', 'attempt', 'name']).doUpdateSet(values).where('run_step.state', 'in', openStates),
      )
      .executeTakeFirst();
    if ((written.numInsertedOrUpdatedRows ?? 0n) === 0n) return;
    if (!isOpen) await closeChildren(trx, step);
    if (!isOpen) await closeBuild(trx, step);
    await recordRunEvent(trx, {
      runId: step.runId,
      type: `step.${step.state}`,
      data: { step: step.name, why: step.why, reason: step.reason },
      at: step.at,
    });
  });
}

async function closeChildren(trx: Transaction<Schema>, step: StepRecord): Promise<void> {
  const state = step.state === 'canceled' ? 'canceled' : step.state === 'failed' ? 'failed' : undefined;
  if (state === undefined) return;
  await trx
    .updateTable('run_step_child')
    .set({
      state,
      ended_at: step.at,
      reason: sql`coalesce(nullif(reason, 'null'::jsonb), ${JSON.stringify(step.reason)}::jsonb)`,
    })
    .where('run_id', '=', step.runId)
    .where('attempt', '=', step.attempt)
    .where('step', '=', step.name)
    .where('state', 'in', openStates)
    .execute();
}

/** A build is over when its image is pushed, or when the step that should have built or pushed it ended otherwise. */
async function closeBuild(trx: Transaction<Schema>, step: StepRecord): Promise<void> {
  const isOver = step.name === 'push' ? step.state !== 'skipped' : step.name === 'build' && step.state !== 'success';
  if (!isOver) return;
  const status = step.state === 'success' || step.state === 'canceled' ? step.state : 'failed';
  const fault = step.reason?.params['fault'] === 'user' ? 'user' : 'system';
  await trx
    .updateTable('build')
    .set({
      status,
      ended_at: step.at,
      ...(step.reason === null ? {} : { reason: JSON.stringify({ ...step.reason, fault }) }),
    })
    .where('run_id', '=', step.runId)
    .where('status', 'in', ['pending', 'building'])
    .execute();
  if (status === 'success') return;
  await trx
    .updateTable('build_architecture')
    .set({ status, ended_at: step.at })
    .where('build_id', 'in', trx.selectFrom('build').select('id').where('run_id', '=', step.runId))
    .where('status', 'in', ['pending', 'building'])
    .execute();
}

/** Writes a child's state. `running` after a failed attempt keeps the first start and says in `reason` why it waits. */
export async function recordChild(db: Database, child: ChildRecord): Promise<void> {
  await db.transaction().execute((trx) => writeChild(trx, child));
}

/** As `recordChild`, together with what else the caller's transaction writes. */
export async function writeChild(trx: Transaction<Schema>, child: ChildRecord): Promise<void> {
  const isOpen = child.state === 'waiting' || child.state === 'running';
  const values = {
    state: child.state,
    reason: JSON.stringify(child.reason),
    result: JSON.stringify(child.result ?? null),
    ended_at: isOpen ? null : child.at,
  };
  await trx
    .insertInto('run_step_child')
    .values({
      run_id: child.runId,
      attempt: child.attempt,
      step: child.step,
      key: child.key,
      started_at: child.state === 'waiting' ? null : child.at,
      ...values,
    })
    .onConflict((conflict) =>
      conflict.columns(['run_id', 'attempt', 'step', 'key']).doUpdateSet({
        ...values,
        started_at: sql`coalesce(run_step_child.started_at, excluded.started_at)`,
      }),
    )
    .execute();
  if (child.state === 'running' && child.reason !== null) await countAttempt(trx, child);
  await recordRunEvent(trx, {
    runId: child.runId,
    type: `child.${child.state}`,
    data: { step: child.step, key: child.key, reason: child.reason },
    at: child.at,
  });
}

/** A child that runs with a reason failed an attempt and is tried again: the step's count of attempts says so. */
async function countAttempt(trx: Transaction<Schema>, child: ChildRecord): Promise<void> {
  await trx
    .updateTable('run_step')
    .set((eb) => ({ attempts: eb('attempts', '+', 1) }))
    .where('run_id', '=', child.runId)
    .where('attempt', '=', child.attempt)
    .where('name', '=', child.step)
    .execute();
}

/** The image a run made or took up, under its tags. */
export async function recordRunImages(
  db: Database,
  { runId, images }: { runId: string; images: RunImages },
): Promise<void> {
  const platforms = images.platforms.map((image) => image.platform);
  await db
    .updateTable('run')
    .set({
      digest: images.digest,
      images: JSON.stringify(images.tags.map((tag) => ({ tag, digest: images.digest, platforms }))),
    })
    .where('id', '=', runId)
    .execute();
}
