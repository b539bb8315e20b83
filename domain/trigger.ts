import { z } from 'zod';
import type { Reason } from './errors.ts';
import { limits } from './limits.ts';
import type { StepState } from './record.ts';
import { regexpMatches } from './regexp.ts';
import { regexpField } from './replicate.ts';

/** When a trigger fires for an updated tag (docs/product.md, section 11). */
const conditionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('all') }),
  z.strictObject({ kind: z.literal('regexp'), regexp: regexpField }),
  z.strictObject({
    kind: z.literal('tags'),
    tags: z.array(z.string().min(1).max(limits.imageTagLength)).min(1).max(limits.triggerTags),
  }),
]);

/** Headers a user may not set: they carry the signature, the length and the connection. */
const forbiddenHeader =
  /^(webhook-.*|content-.*|proxy-.*|host|connection|keep-alive|expect|te|trailer|upgrade|transfer-encoding|user-agent)$/i;

/** A trigger as a user writes it (docs/product.md, section 11). The url may hold a secret in its query: masked when read. */
export const triggerSchema = z.strictObject({
  name: z.string().min(1).max(64),
  action: z.literal('webhook').default('webhook'),
  url: z.url({ protocol: /^https?$/ }).max(2_048),
  condition: conditionSchema.default({ kind: 'all' }),
  format: z.enum(['standard', 'acr']).default('standard'),
  headers: z
    .array(
      z.strictObject({
        name: z
          .string()
          .regex(/^[A-Za-z0-9-]{1,64}$/)
          .refine((name) => !forbiddenHeader.test(name), {
            message: 'This header is set by Slipway. Choose another name.',
          }),
        value: z
          .string()
          .max(1_024)
          .regex(/^[\t\x20-\x7e]*$/),
      }),
    )
    .max(limits.triggerHeaders)
    .refine((headers) => new Set(headers.map(({ name }) => name.toLowerCase())).size === headers.length, {
      message: 'A header stands twice. Keep one; upper and lower case are the same.',
    })
    .default([]),
  caCertificate: z
    .string()
    .max(64 * 1024)
    .nullable()
    .default(null),
  enabled: z.boolean().default(true),
});
export type TriggerDefinition = z.infer<typeof triggerSchema>;
export type TriggerCondition = TriggerDefinition['condition'];

/** A trigger as a run's history keeps it: no address and no header, which may be secrets; the activity reads those from the run's snapshot row. */
export interface TriggerSnapshot {
  readonly id: string;
  readonly name: string;
  readonly condition: TriggerCondition;
}

/** Whether the trigger fires for this tag. */
export function triggerFires(trigger: { readonly condition: TriggerCondition }, tag: string): boolean {
  switch (trigger.condition.kind) {
    case 'all':
      return true;
    case 'regexp':
      return regexpMatches(trigger.condition.regexp, tag);
    case 'tags':
      return trigger.condition.tags.includes(tag);
  }
}

/** Why the trigger does not fire for this tag. */
export function notFiringReason({ condition }: { readonly condition: TriggerCondition }, tag: string): Reason {
  const why = {
    all: 'it fires for every tag',
    regexp: `it does not match ${condition.kind === 'regexp' ? condition.regexp : ''}`,
    tags: "it is not in the trigger's list",
  }[condition.kind];
  return {
    code: 'trigger.not_matching',
    params: { tag, condition: condition.kind },
    text: `Not called for the tag ${tag}: ${why}`,
  };
}

/** The delays before each attempt in milliseconds: at once, then ten attempts over 75 h 35 min in all (docs/product.md, section 11). */
export const triggerLadderMs: readonly number[] = [
  0,
  5_000,
  5 * 60_000,
  30 * 60_000,
  2 * 3_600_000,
  5 * 3_600_000,
  10 * 3_600_000,
  14 * 3_600_000,
  20 * 3_600_000,
  24 * 3_600_000,
];

/** Why an attempt got no answer; `unknown`: the process that asked did not live to see it, so the receiver may have been called. */
export const attemptErrors = [
  'timeout',
  'dns',
  'connect',
  'tls',
  'blocked',
  'closed',
  'protocol',
  'busy',
  'unknown',
] as const;
export type AttemptError = (typeof attemptErrors)[number];

const attemptErrorWords: Readonly<Record<AttemptError, string>> = {
  timeout: 'The receiver did not answer in time',
  dns: "The receiver's name could not be resolved",
  connect: 'No connection to the receiver could be made',
  tls: "The receiver's certificate was not accepted, or it does not speak TLS",
  blocked: 'The administrator does not allow calls to this address',
  closed: 'The receiver closed the connection without an answer',
  protocol: 'The receiver answered something that is not HTTP',
  busy: 'Too many calls to this trigger are under way',
  unknown: 'Unknown whether the receiver was called; it was called again',
};

/** One sentence about an attempt that was not answered with 2xx. */
export function attemptReason({
  statusCode,
  errorClass,
}: {
  statusCode: number | null;
  errorClass: AttemptError | null;
}): Reason {
  if (statusCode !== null) {
    const text = `The receiver answered ${statusCode}${statusCode >= 300 && statusCode < 400 ? ', and redirects are not followed' : ''}`;
    return { code: 'trigger.attempt_failed', params: { statusCode }, text };
  }
  const error = errorClass ?? 'unknown';
  return { code: 'trigger.attempt_failed', params: { error }, text: attemptErrorWords[error] };
}

/** How one attempt ended, as the next delay needs it. */
export interface AttemptEnd {
  /** null: no answer. */
  readonly statusCode: number | null;
  readonly isTimeout: boolean;
  /** From `Retry-After`, already relative to the answer. */
  readonly retryAfterMs: number | null;
}

/**
 * Milliseconds before attempt `number + 1`, or null when attempt `number` (1-based) was the last one. `random` in [0, 1) spreads
 * it by ±20 %. 429, 502, 504 and timeouts double it; `Retry-After` is clamped to [delay, 2 × delay].
 */
export function nextAttemptDelayMs(
  number: number,
  end: AttemptEnd,
  { random, scale = 1 }: { random: number; scale?: number },
): number | null {
  const rung = triggerLadderMs[number];
  if (rung === undefined) return null;
  const spread = rung * scale * (0.8 + 0.4 * random);
  const isBusy = end.isTimeout || end.statusCode === 429 || end.statusCode === 502 || end.statusCode === 504;
  if (end.retryAfterMs !== null) return Math.min(Math.max(end.retryAfterMs, spread), 2 * spread);
  return isBusy ? 2 * spread : spread;
}

/** What the Record shows of one trigger: a state and its reason. */
export interface TriggerProgress {
  readonly state: StepState;
  readonly reason: Reason | null;
}

const openStatuses: readonly DeliveryStatus[] = ['waiting', 'sending', 'retrying'];

/** The state of a trigger on a Record, from all its deliveries of the run. */
export function triggerProgress(
  deliveries: readonly { readonly status: DeliveryStatus; readonly reason: Reason | null }[],
): TriggerProgress {
  const having = (...statuses: readonly DeliveryStatus[]) =>
    deliveries.filter(({ status }) => statuses.includes(status));
  const reasonOf = (found: typeof deliveries) => found.find(({ reason }) => reason !== null)?.reason ?? null;
  if (having(...openStatuses).length > 0) return { state: 'running', reason: reasonOf(having('retrying')) };
  if (having('failed').length > 0) return { state: 'failed', reason: reasonOf(having('failed')) };
  if (having('canceled').length > 0) return { state: 'canceled', reason: null };
  if (having('delivered').length > 0) return { state: 'success', reason: null };
  return { state: 'skipped', reason: reasonOf(having('untriggered')) };
}

const deliveredLate: Reason = {
  code: 'trigger.delivered_late',
  params: {},
  text: 'Delivered late: the receiver answered after the step had ended',
};

/** What is shown after the step has ended: later deliveries may better it, and nothing undoes a success. */
export function progressAfterEnd(shown: TriggerProgress, now: TriggerProgress): TriggerProgress {
  if (shown.state === 'running' || shown.state === 'waiting') return now;
  if (shown.state !== 'success' && now.state === 'success') return { state: 'success', reason: deliveredLate };
  return shown;
}

/** How long a trigger has failed without one success between. */
export interface FailureSpan {
  /** The failure that may open the span; null after a success, and when the trigger was enabled again. */
  readonly firstFailureAt: Date | null;
  /** Start of the span: set once a second failure follows within 24 h. */
  readonly failingSince: Date | null;
}

export const noFailures: FailureSpan = { firstFailureAt: null, failingSince: null };

const spanOpensWithinMs = 24 * 3_600_000;

/** The span after one more failed attempt; a lone failure older than a day opens none (docs/product.md, section 11). */
export function failureSpan({ firstFailureAt, failingSince }: FailureSpan, now: Date): FailureSpan {
  if (firstFailureAt === null) return { firstFailureAt: now, failingSince: null };
  if (failingSince !== null) return { firstFailureAt, failingSince };
  const isWithin = now.getTime() - firstFailureAt.getTime() <= spanOpensWithinMs;
  return isWithin ? { firstFailureAt, failingSince: firstFailureAt } : { firstFailureAt: now, failingSince: null };
}

/** Whether only failures for five days switch the trigger off. */
export function isWornOut({ failingSince }: FailureSpan, now: Date): boolean {
  return failingSince !== null && now.getTime() - failingSince.getTime() >= limits.triggerDisabledAfterMs;
}

export const deliveryStatuses = [
  'waiting',
  'sending',
  'retrying',
  'delivered',
  'failed',
  'untriggered',
  'canceled',
] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];
