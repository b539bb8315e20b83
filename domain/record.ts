import { z } from 'zod';
import type { Reason } from './errors.ts';

/** The steps of a run in chain order; one name in every folder (docs/product.md, section 8). */
export const stepNames = ['build', 'push', 'scan', 'replicate', 'trigger'] as const;
export type StepName = (typeof stepNames)[number];

export const runStatuses = ['queued', 'running', 'canceling', 'complete', 'canceled'] as const;
export type RunStatus = (typeof runStatuses)[number];

/** Statuses of a run that has not ended. */
export const liveRunStatuses = ['queued', 'running', 'canceling'] as const;

export const runResults = ['success', 'failed', 'denied', 'canceled'] as const;
export type RunResult = (typeof runResults)[number];

export const stepStates = ['waiting', 'running', 'success', 'failed', 'denied', 'canceled', 'skipped'] as const;
export type StepState = (typeof stepStates)[number];

/** Why a step was skipped. */
export type SkipReason = 'disabled' | 'not_reached' | 'not_applicable' | 'reused';

/** What started a run (docs/product.md, section 12). */
export const runCauses = [
  'source_push',
  'image_push',
  'manual',
  'api',
  'rebuild',
  'restart',
  'fix',
  'schedule',
  'base_image',
  'catch_up',
] as const;
export type RunCause = (typeof runCauses)[number];

/** Who waits for whom in a queue: 1 is first, 5 last. What a person waits for goes before pushes, mass rebuilds come last. */
export function runPriority(cause: RunCause): number {
  if (cause === 'manual' || cause === 'api' || cause === 'rebuild' || cause === 'restart' || cause === 'fix') return 2;
  return cause === 'base_image' ? 5 : 3;
}

/** Filters of `GET /v1/runs` that the database understands. */
export const runFilterSchema = z.strictObject({
  instance: z.string().optional(),
  repository: z.string().optional(),
  chain: z.string().optional(),
  result: z.enum(runResults).optional(),
  status: z.enum(runStatuses).optional(),
  ref: z.string().optional(),
  tag: z.string().optional(),
  commit: z.string().optional(),
  digest: z.string().optional(),
  actor: z.string().optional(),
  since: z.iso.datetime().optional(),
  until: z.iso.datetime().optional(),
});
export type RunFilter = z.infer<typeof runFilterSchema>;

/** What a successful run did, counted for its sentence. */
export interface RunTotals {
  readonly durationMs: number;
  readonly tags: number;
  readonly copies: number;
  readonly deliveries: number;
  /** A non-blocking scan that could not be made: the run succeeds and says so. */
  readonly isScanMissing: boolean;
  /** Architectures that failed, where the build rule lets the others go on. */
  readonly missingPlatforms: number;
  /** Tags a newer run has already moved on: built, but not moved (the tag fence). */
  readonly fencedTags: number;
}

/** "Succeeded in 3 m 12 s: 2 tags, 2 copies, 3 triggers". */
export function successReason(totals: RunTotals): Reason {
  const { durationMs, tags, copies, deliveries, isScanMissing, missingPlatforms, fencedTags } = totals;
  const counted = [
    countOf(tags, 'tag', 'tags'),
    countOf(copies, 'copy', 'copies'),
    countOf(deliveries, 'trigger', 'triggers'),
  ];
  const notes = [
    ...(missingPlatforms > 0 ? [`${countOf(missingPlatforms, 'architecture', 'architectures')} failed`] : []),
    ...(isScanMissing ? ['not scanned'] : []),
    ...(fencedTags > 0
      ? [`${countOf(fencedTags, 'tag', 'tags')} not moved, a newer run holds ${fencedTags === 1 ? 'it' : 'them'}`]
      : []),
  ];
  const code = isScanMissing ? 'run.success_not_scanned' : 'run.success';
  return {
    code,
    params: { durationMs, tags, copies, deliveries, missingPlatforms, fencedTags },
    text: [`Succeeded in ${durationWords(durationMs)}: ${counted.join(', ')}`, ...notes].join('; '),
  };
}

/** "Failed in build: Dockerfile line 12 RUN npm ci, exit 1". */
export function failureReason(step: StepName, { code, params, text }: Reason): Reason {
  return { code, params: { ...params, step }, text: `Failed in ${step}: ${text}` };
}

/** "3 m 12 s", "48 s", "0.4 s". */
function durationWords(durationMs: number): string {
  const seconds = durationMs / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${Math.round(seconds - minutes * 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

function countOf(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
