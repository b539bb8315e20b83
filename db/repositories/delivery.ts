import { sql } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import { limits } from '../../domain/limits.ts';
import { failureSpan, isWornOut, noFailures } from '../../domain/trigger.ts';
import type { AttemptError, DeliveryStatus } from '../../domain/trigger.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { RunTrigger } from '../tables/record.ts';
import type { DeliveryRow, NewDelivery, TriggerRow } from '../tables/trigger.ts';
import { recordRunEvent } from './record.ts';

/** What the messages of a run are made of. */
export interface RunTriggers {
  readonly repositoryType: 'public' | 'private';
  readonly repositoryCreatedAt: Date;
  /** As at the start of the run, without those deleted since. */
  readonly triggers: readonly (RunTrigger & { readonly disabledReason: Reason | null })[];
  readonly deleted: readonly RunTrigger[];
}

/** The triggers a run keeps, and what bodies say of its repository. */
export async function getRunTriggers(db: Database, runId: string): Promise<RunTriggers> {
  const run = await db
    .selectFrom('run')
    .innerJoin('repository', 'repository.id', 'run.repository_id')
    .select(['run.trigger_snapshots', 'repository.type', 'repository.created_at'])
    .where('run.id', '=', runId)
    .executeTakeFirstOrThrow();
  const ids = run.trigger_snapshots.map(({ id }) => id);
  const rows = await db
    .selectFrom('trigger')
    .select(['id', 'disabled_reason'])
    .where('id', '=', sql<string>`any(${ids})`)
    .execute();
  const disabledReasons = new Map(rows.map((row) => [row.id, row.disabled_reason]));
  return {
    repositoryType: run.type,
    repositoryCreatedAt: run.created_at,
    triggers: run.trigger_snapshots.flatMap((trigger) => {
      const disabledReason = disabledReasons.get(trigger.id);
      return disabledReason === undefined ? [] : [{ ...trigger, disabledReason }];
    }),
    deleted: run.trigger_snapshots.filter(({ id }) => !disabledReasons.has(id)),
  };
}

/** Inserts the deliveries of a run that are not there yet (one per trigger and tag) and answers all of them. */
export async function openRunDeliveries(
  db: Database,
  { runId, deliveries }: { runId: string; deliveries: readonly NewDelivery[] },
): Promise<DeliveryRow[]> {
  if (deliveries.length > 0) {
    await db
      .insertInto('delivery')
      .values(deliveries)
      .onConflict((conflict) =>
        conflict.columns(['run_id', 'trigger_id', 'tag']).where('run_id', 'is not', null).doNothing(),
      )
      .execute();
  }
  return db
    .selectFrom('delivery')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** A delivery with all that its next attempt needs. */
export interface DeliveryCall {
  readonly delivery: DeliveryRow;
  readonly trigger: TriggerRow;
  /** The trigger as the run kept it; undefined for a test message. */
  readonly snapshot: RunTrigger | undefined;
}

/** Undefined when the delivery, and its trigger with it, was deleted. */
export async function findDeliveryCall(db: Database, id: string): Promise<DeliveryCall | undefined> {
  const delivery = await db.selectFrom('delivery').selectAll().where('id', '=', id).executeTakeFirst();
  if (delivery === undefined) return undefined;
  const trigger = await db.selectFrom('trigger').selectAll().where('id', '=', delivery.trigger_id).executeTakeFirst();
  if (trigger === undefined) return undefined;
  const run =
    delivery.run_id === null
      ? undefined
      : await db.selectFrom('run').select('trigger_snapshots').where('id', '=', delivery.run_id).executeTakeFirst();
  return { delivery, trigger, snapshot: run?.trigger_snapshots.find((each) => each.id === trigger.id) };
}

export interface AttemptStart {
  readonly deliveryId: string;
  readonly number: number;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly requestBody: string;
  readonly at: Date;
}

/**
 * Writes the attempt before its request leaves. Attempts still `sending` belong to a process that died: whether they arrived is
 * unknown, and this one is made under the same webhook id.
 */
export async function startAttempt(db: Database, attempt: AttemptStart): Promise<void> {
  const { deliveryId, number } = attempt;
  await db.transaction().execute(async (trx) => {
    await trx
      .updateTable('delivery_attempt')
      .set({ state: 'ended', error_class: 'unknown' })
      .where('delivery_id', '=', deliveryId)
      .where('state', '=', 'sending')
      .execute();
    const sending = {
      state: 'sending',
      at: attempt.at,
      duration_ms: null,
      status_code: null,
      error_class: null,
      request_headers: JSON.stringify(attempt.requestHeaders),
      request_body: attempt.requestBody.slice(0, limits.triggerStoredBytes),
      response_headers: JSON.stringify(null),
      response_body: null,
    } as const;
    await trx
      .insertInto('delivery_attempt')
      .values({ delivery_id: deliveryId, number, ...sending })
      .onConflict((conflict) => conflict.columns(['delivery_id', 'number']).doUpdateSet(sending))
      .execute();
    await trx
      .updateTable('delivery')
      .set({ status: 'sending', next_attempt_at: null, ended_at: null })
      .where('id', '=', deliveryId)
      .execute();
  });
}

export interface AttemptResult {
  readonly statusCode: number | null;
  readonly errorClass: AttemptError | null;
  readonly durationMs: number;
  readonly responseHeaders: Readonly<Record<string, string>> | null;
  readonly responseBody: string | null;
}

/** How an attempt changes its delivery and trigger. */
export interface AttemptVerdict {
  readonly isDelivered: boolean;
  /** Why it failed. */
  readonly reason: Reason | null;
  /** Switches the trigger off at once. */
  readonly goneReason: Reason | null;
  /** Whether a failure counts against the trigger. */
  readonly isReceiversFault: boolean;
}

/** Writes how an attempt ended, what becomes of the delivery, and whether the trigger is switched off for it. */
export async function endAttempt(
  db: Database,
  { delivery, number }: { delivery: Pick<DeliveryRow, 'id' | 'trigger_id' | 'run_id'>; number: number },
  { result, verdict, at }: { result: AttemptResult; verdict: AttemptVerdict; at: Date },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await trx
      .updateTable('delivery_attempt')
      .set({
        state: 'ended',
        duration_ms: result.durationMs,
        status_code: result.statusCode,
        error_class: result.errorClass,
        response_headers: JSON.stringify(result.responseHeaders),
        response_body: result.responseBody,
      })
      .where('delivery_id', '=', delivery.id)
      .where('number', '=', number)
      .execute();
    await trx
      .updateTable('delivery')
      .set({
        status: verdict.isDelivered ? 'delivered' : 'retrying',
        reason: JSON.stringify(verdict.reason),
        ended_at: verdict.isDelivered ? at : null,
      })
      .where('id', '=', delivery.id)
      .execute();
    await noteTriggerHealth(trx, delivery, { verdict, at });
  });
}

/** Keeps the span of failures; after a 410, or five days of nothing else, the trigger is off and its run's trail says so. */
async function noteTriggerHealth(
  trx: DatabaseTransaction,
  { trigger_id: id, run_id: runId }: Pick<DeliveryRow, 'trigger_id' | 'run_id'>,
  { verdict, at }: { verdict: AttemptVerdict; at: Date },
): Promise<void> {
  const { isDelivered, goneReason, isReceiversFault } = verdict;
  if (!isDelivered && !isReceiversFault) return;
  const trigger = await trx.selectFrom('trigger').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  if (trigger === undefined) return;
  const before = { firstFailureAt: trigger.first_failure_at, failingSince: trigger.failing_since };
  const span = isDelivered ? noFailures : failureSpan(before, at);
  const disabledReason = goneReason ?? (isWornOut(span, at) ? wornOut(span.failingSince ?? at) : null);
  const isSwitchedOff = disabledReason !== null && trigger.enabled;
  await trx
    .updateTable('trigger')
    .set({
      first_failure_at: span.firstFailureAt,
      failing_since: span.failingSince,
      ...(isSwitchedOff ? { enabled: false, disabled_reason: JSON.stringify(disabledReason) } : {}),
    })
    .where('id', '=', id)
    .execute();
  if (isSwitchedOff && runId !== null) {
    const data = { trigger: id, name: trigger.name, reason: disabledReason };
    await recordRunEvent(trx, { runId, type: 'trigger.disabled', data, at });
  }
}

function wornOut(since: Date): Reason {
  return {
    code: 'trigger.worn_out',
    params: { since: since.toISOString() },
    text: 'The receiver has only failed for five days, so the trigger was disabled. Mend the receiver, then enable the trigger again',
  };
}

export interface DeliveryChange {
  readonly id: string;
  readonly status: DeliveryStatus;
  /** null leaves the reason of the last attempt while it waits, and clears it otherwise. */
  readonly reason: Reason | null;
  readonly nextAttemptAt: Date | null;
  readonly at: Date;
}

/** Writes a delivery's status; only one that is open can be canceled. */
export async function updateDelivery(db: Database, change: DeliveryChange): Promise<DeliveryRow | undefined> {
  const { id, status, reason, nextAttemptAt, at } = change;
  const isOpen = status === 'waiting' || status === 'sending' || status === 'retrying';
  let query = db
    .updateTable('delivery')
    .set({
      status,
      next_attempt_at: nextAttemptAt,
      ended_at: isOpen ? null : at,
      ...(isOpen && reason === null ? {} : { reason: JSON.stringify(reason) }),
    })
    .where('id', '=', id);
  if (status === 'canceled') query = query.where('status', 'in', ['waiting', 'sending', 'retrying']);
  return query.returningAll().executeTakeFirst();
}
