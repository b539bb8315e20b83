import { z } from 'zod';
import { limits } from './limits.ts';
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

/** How long a trigger has failed without one success between: both null after a success. */
export interface FailureSpan {
  /** The newest failure that may open the span. */
  readonly firstFailureAt: Date | null;
  /** Start of the span: set once a second failure follows within 24 h. */
  readonly failingSince: Date | null;
}

export const noFailures: FailureSpan = { firstFailureAt: null, failingSince: null };

const spanOpensWithinMs = 24 * 3_600_000;

/** The span after one more failed attempt; a lone failure older than a day opens none (docs/product.md, section 11). */
export function failureSpan({ firstFailureAt, failingSince }: FailureSpan, now: Date): FailureSpan {
  if (failingSince !== null) return { firstFailureAt, failingSince };
  if (firstFailureAt === null || now.getTime() - firstFailureAt.getTime() > spanOpensWithinMs)
    return { firstFailureAt: now, failingSince: null };
  return { firstFailureAt, failingSince: firstFailureAt };
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

/** What happened to one tag: the material of every body format. Times are RFC 3339. */
export interface ImageUpdated {
  readonly instance: string;
  readonly region: string;
  readonly namespace: string;
  readonly repository: string;
  readonly repositoryType: 'public' | 'private';
  readonly repositoryCreatedAt: string;
  readonly tag: string;
  readonly digest: string;
  readonly previousDigest: string | null;
  readonly architectures: readonly string[];
  readonly commit: string | null;
  readonly run: string | null;
  readonly sequence: number;
  readonly at: string;
}

/** The body of one delivery in the trigger's format, as the exact text that is signed and sent. */
export function triggerBody(format: TriggerDefinition['format'], update: ImageUpdated): string {
  return JSON.stringify(format === 'acr' ? acrBody(update) : standardBody(update));
}

/** Member by member, so that the text depends on nothing but the values. */
function standardBody(update: ImageUpdated) {
  const { instance, region, namespace, repository, tag, digest, previousDigest } = update;
  const { architectures, commit, run, sequence } = update;
  return {
    type: 'image.updated',
    timestamp: update.at,
    data: {
      instance,
      region,
      namespace,
      repository,
      tag,
      digest,
      previousDigest,
      architectures,
      commit,
      run,
      sequence,
    },
  };
}

function acrBody(update: ImageUpdated) {
  return {
    push_data: { digest: update.digest, pushed_at: acrTime(update.at), tag: update.tag },
    repository: {
      date_created: acrTime(update.repositoryCreatedAt),
      name: update.repository,
      namespace: update.namespace,
      region: update.region,
      repo_authentication_type: 'NO_CERTIFIED',
      repo_full_name: `${update.namespace}/${update.repository}`,
      repo_origin_type: 'NO_CERTIFIED',
      repo_type: update.repositoryType.toUpperCase(),
    },
  };
}

/** `yyyy-MM-dd HH:mm:ss` in UTC+8, as ACR writes times. */
function acrTime(at: string): string {
  return new Date(Date.parse(at) + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
}

/** What a test message names: the trigger and where it stands; it moves nothing. Times are RFC 3339. */
export interface TriggerTest {
  readonly instance: string;
  readonly region: string;
  readonly namespace: string;
  /** null: the trigger is the namespace's. */
  readonly repository: string | null;
  readonly trigger: string;
  readonly at: string;
}

/** The body of a test message; in ACR's form, which knows no type, a tag that cannot be mistaken for an image. */
export function triggerTestBody(format: TriggerDefinition['format'], { at, ...data }: TriggerTest): string {
  if (format === 'standard') return JSON.stringify({ type: 'test', timestamp: at, data });
  return triggerBody('acr', {
    ...data,
    repository: data.repository ?? 'test',
    repositoryType: 'private',
    repositoryCreatedAt: at,
    tag: 'slipway-test',
    digest: `sha256:${'0'.repeat(64)}`,
    previousDigest: null,
    architectures: [],
    commit: null,
    run: null,
    sequence: 0,
    at,
  });
}
