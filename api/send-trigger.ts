import { newUuid, newWebhookId } from '../db/new-id.ts';
import {
  deleteDelivery,
  getDelivery,
  insertDelivery,
  startResend,
  undoResend,
} from '../db/repositories/delivery-read.ts';
import { findTriggerPlace } from '../db/repositories/trigger-place.ts';
import { getTrigger } from '../db/repositories/trigger-rule.ts';
import type { TriggerRow } from '../db/tables/trigger.ts';
import { conflict } from '../domain/errors.ts';
import { triggerTestBody } from '../domain/trigger-body.ts';
import type { ApiDeps } from './deps.ts';

type SendDeps = Pick<ApiDeps, 'db' | 'engine' | 'clock' | 'config'>;

const testDigest = `sha256:${'0'.repeat(64)}`;

/**
 * Sends a delivery again, under the same `webhook-id`, where its trigger points now (docs/product.md, section 11). Errors: 404
 * `delivery.not_found`, 409 `delivery.not_ended`, `delivery.untriggered`, 503 `temporal.unreachable` with nothing changed.
 */
export async function resendDelivery(deps: SendDeps, id: string): Promise<void> {
  const { db, engine, clock, config } = deps;
  const before = await getDelivery(db, id);
  const resend = await startResend(db, { id, at: clock() });
  if (resend === undefined) throw notResendable(before.status);
  try {
    const ladderScale = config.SLIPWAY_TIMINGS.triggerLadderScale;
    await engine.startDelivery({ deliveryId: id, ...resend, ladderScale });
  } catch (error) {
    await undoResend(db, before);
    throw error;
  }
}

function notResendable(status: string) {
  return status === 'untriggered'
    ? conflict(
        'delivery.untriggered',
        "The trigger's condition left this tag out, so there was never a message to send. Change the condition, or send a test.",
      )
    : conflict(
        'delivery.not_ended',
        'The delivery is still being tried, so there is nothing to send again. Wait for its end, or cancel its run.',
      );
}

/**
 * Sends a message that looks like a real one, for the tag `test` (docs/product.md, section 11); answers the delivery's id. Errors:
 * 404 `trigger.not_found`, 409 `trigger.disabled`, 503 `temporal.unreachable` with nothing changed.
 */
export async function sendTest(deps: SendDeps, triggerId: string): Promise<string> {
  const { db, engine, clock, config } = deps;
  const trigger = await getTrigger(db, triggerId);
  if (!trigger.enabled) {
    throw conflict('trigger.disabled', 'The trigger is disabled, so it sends nothing. Enable it first.');
  }
  const at = clock();
  const id = newUuid(at);
  await insertDelivery(db, {
    id,
    trigger_id: triggerId,
    run_id: null,
    webhook_id: newWebhookId(),
    event: 'test',
    tag: 'test',
    digest: testDigest,
    body: await testBody(deps, trigger, at),
    status: 'waiting',
    reason: JSON.stringify(null),
    next_attempt_at: at,
    created_at: at,
    ended_at: null,
  });
  try {
    const ladderScale = config.SLIPWAY_TIMINGS.triggerLadderScale;
    await engine.startDelivery({ deliveryId: id, resend: 0, firstAttempt: 1, ladderScale });
  } catch (error) {
    await deleteDelivery(db, id);
    throw error;
  }
  return id;
}

async function testBody({ db }: SendDeps, trigger: TriggerRow, at: Date): Promise<string> {
  const place = await findTriggerPlace(db, trigger);
  return triggerTestBody(trigger.definition.format, {
    ...place,
    repositoryCreatedAt: place.repositoryCreatedAt.toISOString(),
    tag: 'test',
    digest: testDigest,
    previousDigest: null,
    architectures: ['linux/amd64'],
    commit: null,
    run: null,
    sequence: 0,
    at: at.toISOString(),
  });
}
