import { z } from 'zod';

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

/** Whether a state is final; a final state of a step is never left. */
export function isEnded(state: StepState): boolean {
  return state !== 'waiting' && state !== 'running';
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
