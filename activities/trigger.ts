import { Context } from '@temporalio/activity';
import type { RepositoryRef, RunImages } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import type { RunSource } from '../domain/source.ts';
import { attemptReason, notFiringReason, triggerFires } from '../domain/trigger.ts';
import type { AttemptEnd, DeliveryStatus } from '../domain/trigger.ts';
import { triggerBody } from '../domain/trigger-body.ts';
import type { ImageUpdated } from '../domain/trigger-body.ts';
import type { Database } from '../db/database.ts';
import { newUuid, newWebhookId } from '../db/new-id.ts';
import {
  endAttempt,
  findDeliveryCall,
  getRunTriggers,
  openRunDeliveries,
  startAttempt,
  updateDelivery,
} from '../db/repositories/delivery.ts';
import type { AttemptResult, AttemptVerdict, DeliveryCall, RunTriggers } from '../db/repositories/delivery.ts';
import { recordOpenedTriggers, recordTrigger } from '../db/repositories/delivery-record.ts';
import { openSecret } from '../db/repositories/secret.ts';
import type { NewDelivery } from '../db/tables/trigger.ts';
import { createCallSlots } from './call-slots.ts';
import type { CallSlots } from './call-slots.ts';
import type { SecretBox } from './drivers/secret-box.ts';
import type { WebhookOutcome, WebhookSender } from './drivers/webhook.ts';

export interface TriggerDeps {
  readonly db: Database;
  readonly webhook: WebhookSender;
  readonly secretBox: Pick<SecretBox, 'open'>;
  readonly clock: () => Date;
}

/** A tag that now points at the run's image. */
export interface UpdatedTag {
  readonly tag: string;
  readonly previousDigest: string | null;
  readonly sequence: number;
}

export interface OpenDeliveriesInput {
  readonly runId: string;
  readonly attempt: number;
  readonly repository: RepositoryRef;
  readonly images: RunImages;
  readonly updates: readonly UpdatedTag[];
  /** null: the image was there, not built from a commit. */
  readonly source: RunSource | null;
}

export interface OpenDeliveriesResult {
  /** Those to send. */
  readonly deliveries: readonly { readonly id: string; readonly triggerId: string; readonly tag: string }[];
  /** How many combinations of trigger and tag are listed without a call. */
  readonly untriggered: number;
}

export interface SendTriggerInput {
  readonly deliveryId: string;
  /** Of the delivery, counted over its resends. */
  readonly number: number;
  /** 0 for the run's own attempts. */
  readonly resend: number;
}

export interface SendTriggerResult extends AttemptEnd {
  readonly isDelivered: boolean;
  /** Nothing more may be sent: the receiver said 410, or the trigger was disabled or deleted. */
  readonly isGone: boolean;
}

export interface SetDeliveryInput {
  readonly deliveryId: string;
  readonly status: DeliveryStatus;
  readonly reason: Reason | null;
  /** RFC 3339. */
  readonly nextAttemptAt: string | null;
}

const callsAtOncePerTrigger = 2;
/** With the 15 s of a call still below the activity's 45 s. */
const slotWaitMs = 25_000;

/** Tells receivers of updated tags (docs/product.md, section 11). All writes have natural keys and may run twice. */
export function createTriggerActivities(deps: TriggerDeps) {
  const { db, clock } = deps;
  const slots = createCallSlots(callsAtOncePerTrigger);
  return {
    /**
     * Writes one delivery per trigger and updated tag, its body fixed from now on; what does not match is listed with the reason.
     */
    async openDeliveries(input: OpenDeliveriesInput): Promise<OpenDeliveriesResult> {
      const { runId } = input;
      const context = await getRunTriggers(db, runId);
      const rows = await openRunDeliveries(db, { runId, deliveries: newDeliveries(input, context, clock()) });
      await recordOpenedTriggers(db, { runId, attempt: input.attempt }, { ...context, at: clock() });
      const calls = rows.filter((row) => row.status !== 'untriggered');
      return {
        deliveries: calls.map((row) => ({ id: row.id, triggerId: row.trigger_id, tag: row.tag ?? '' })),
        untriggered: rows.length - calls.length,
      };
    },

    /**
     * Makes one attempt and tells how it ended; a failure of the receiver is a result, not an error. The attempt stands in the
     * database before the request leaves.
     */
    async sendTrigger({ deliveryId, number, resend }: SendTriggerInput): Promise<SendTriggerResult> {
      const call = await findDeliveryCall(db, deliveryId);
      if (call === undefined || isStopped(call, { number, resend })) return gone;
      const { verdict, outcome } = await attempt({ ...deps, slots }, call, { number, resend });
      const { run_id: runId, trigger_id: triggerId } = call.delivery;
      if (runId !== null) await recordTrigger(db, { runId, triggerId, at: clock() });
      return {
        statusCode: outcome.statusCode,
        isTimeout: outcome.errorClass === 'timeout',
        retryAfterMs: outcome.retryAfterMs,
        isDelivered: verdict.isDelivered,
        isGone: verdict.goneReason !== null,
      };
    },

    async setDelivery({ deliveryId, status, reason, nextAttemptAt }: SetDeliveryInput): Promise<void> {
      const call = await findDeliveryCall(db, deliveryId);
      if (call === undefined) return;
      // Why the trigger was disabled is known here better than to the workflow, which only sees that it is.
      const known = reason?.code === 'trigger.gone' ? (call.trigger.disabled_reason ?? switchedOff) : reason;
      const changed = await updateDelivery(db, {
        id: deliveryId,
        status,
        reason: known,
        nextAttemptAt: nextAttemptAt === null ? null : new Date(nextAttemptAt),
        at: clock(),
      });
      const { run_id: runId, trigger_id: triggerId } = call.delivery;
      if (changed !== undefined && runId !== null) await recordTrigger(db, { runId, triggerId, at: clock() });
    },
  };
}

const gone: SendTriggerResult = {
  statusCode: null,
  isTimeout: false,
  retryAfterMs: null,
  isDelivered: false,
  isGone: true,
};

const switchedOff: Reason = {
  code: 'trigger.disabled',
  params: {},
  text: 'The trigger was disabled, so no further attempt is made. Enable it, then resend the delivery',
};

/** A run calls its triggers as they were at its start; what goes on after the first attempt heeds that one was switched off since. */
function isStopped(
  { trigger }: DeliveryCall,
  { number, resend }: Pick<SendTriggerInput, 'number' | 'resend'>,
): boolean {
  if (resend > 0) return false;
  return trigger.disabled_reason !== null || (!trigger.enabled && number > 1);
}

function newDeliveries(input: OpenDeliveriesInput, context: RunTriggers, at: Date): readonly NewDelivery[] {
  return input.updates.flatMap((update) =>
    context.triggers.map(({ id, definition, disabledReason }) => {
      const reason = triggerFires(definition, update.tag) ? disabledReason : notFiringReason(definition, update.tag);
      const status: DeliveryStatus = reason === null ? 'waiting' : 'untriggered';
      return {
        id: newUuid(at),
        trigger_id: id,
        run_id: input.runId,
        webhook_id: newWebhookId(),
        event: 'image.updated',
        tag: update.tag,
        digest: input.images.digest,
        body: triggerBody(definition.format, imageUpdated(input, { update, context, at })),
        status,
        reason: JSON.stringify(reason),
        next_attempt_at: reason === null ? at : null,
        created_at: at,
        ended_at: reason === null ? null : at,
      };
    }),
  );
}

function imageUpdated(
  { runId, repository, images, source }: OpenDeliveriesInput,
  { update, context, at }: { update: UpdatedTag; context: RunTriggers; at: Date },
): ImageUpdated {
  return {
    instance: repository.instance,
    region: repository.region,
    namespace: repository.namespace,
    repository: repository.name,
    repositoryType: context.repositoryType,
    repositoryCreatedAt: context.repositoryCreatedAt.toISOString(),
    tag: update.tag,
    digest: images.digest,
    previousDigest: update.previousDigest,
    architectures: images.platforms.map(({ platform }) => platform),
    commit: source?.commit ?? null,
    run: runId,
    sequence: update.sequence,
    at: at.toISOString(),
  };
}

type Ended = Pick<WebhookOutcome, 'statusCode' | 'errorClass' | 'retryAfterMs'> & AttemptResult;

async function attempt(
  { db, webhook, secretBox, clock, slots }: TriggerDeps & { readonly slots: CallSlots },
  { delivery, trigger, snapshot }: DeliveryCall,
  { number, resend }: Pick<SendTriggerInput, 'number' | 'resend'>,
): Promise<{ verdict: AttemptVerdict; outcome: Ended }> {
  const signal = Context.current().cancellationSignal;
  const release = await slots.take(trigger.id, { waitMs: slotWaitMs, signal });
  try {
    // A resend is a wish of now: it goes where the trigger points now.
    const definition = resend > 0 || snapshot === undefined ? trigger.definition : snapshot.definition;
    const at = clock();
    const refs = [
      trigger.secret_ref,
      ...(isRotating(trigger, at) && trigger.previous_secret_ref !== null ? [trigger.previous_secret_ref] : []),
    ];
    const request = webhook.webhookPrepare({
      url: definition.url,
      webhookId: delivery.webhook_id,
      at,
      body: delivery.body,
      keys: await Promise.all(refs.map((ref) => openSecret(db, secretBox, ref))),
      headers: definition.headers,
    });
    const { storedHeaders: requestHeaders, body: requestBody } = request;
    await startAttempt(db, { deliveryId: delivery.id, number, requestHeaders, requestBody, at });
    const outcome =
      release === undefined
        ? busy
        : await webhook.webhookSend(request, { caCertificate: definition.caCertificate, signal });
    const verdict = verdictOf(outcome);
    await endAttempt(db, { delivery, number }, { result: outcome, verdict, at: clock() });
    return { verdict, outcome };
  } finally {
    release?.();
  }
}

function isRotating({ previous_secret_until: until }: DeliveryCall['trigger'], now: Date): boolean {
  return until !== null && until > now;
}

const busy: Ended = {
  statusCode: null,
  errorClass: 'busy',
  durationMs: 0,
  responseHeaders: null,
  responseBody: null,
  retryAfterMs: null,
};

/** Only 2xx is success; 410 ends the trigger; what our own guard or limits stopped is not held against the receiver. */
function verdictOf({ statusCode, errorClass }: Ended): AttemptVerdict {
  const isDelivered = statusCode !== null && statusCode >= 200 && statusCode < 300;
  return {
    isDelivered,
    reason: isDelivered ? null : attemptReason({ statusCode, errorClass }),
    goneReason: statusCode === 410 ? receiverGone : null,
    isReceiversFault: !isDelivered && errorClass !== 'busy',
  };
}

const receiverGone: Reason = {
  code: 'trigger.gone',
  params: { statusCode: 410 },
  text: 'The receiver answered 410 Gone, so the trigger was disabled. Enable it again when the receiver is back',
};
