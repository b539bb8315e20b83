import { z } from '@hono/zod-openapi';
import type { QueuePlace } from '../db/repositories/queue.ts';
import type { RunWithPlace } from '../db/repositories/record-read.ts';
import type { RunStepChildRow, RunStepRow } from '../db/tables/record.ts';
import type { Config } from '../domain/config.ts';
import { lateOrderNo } from '../domain/chain.ts';
import { runCauses, runResults, runStatuses, stepNames, stepStates } from '../domain/record.ts';
import { placeExample, placeSchema, reasonSchema, timeOf, timeOrNull, timeSchema } from './shapes.ts';

const childSchema = z
  .object({
    key: z.string().openapi({
      description: 'Architecture (build, scan), instance/namespace/repository:tag (replicate), trigger id (trigger).',
    }),
    state: z.enum(stepStates),
    startedAt: timeSchema.nullable(),
    endedAt: timeSchema.nullable(),
    reason: reasonSchema.nullable(),
    result: z.unknown(),
  })
  .openapi('StepChild');

const stepSchema = z
  .object({
    name: z.enum(stepNames),
    state: z.enum(stepStates),
    why: z.enum(['disabled', 'not_reached', 'not_applicable', 'reused']).nullable(),
    startedAt: timeSchema.nullable(),
    endedAt: timeSchema.nullable(),
    queuedMs: z.int().nullable(),
    attempts: z.int(),
    reason: reasonSchema.nullable(),
    result: z.unknown(),
    children: z.array(childSchema).openapi({ description: 'Empty in lists.' }),
  })
  .openapi('Step');

const otherRunSchema = z.object({ id: z.string(), number: z.int() }).openapi('OtherRun');

/** A place in a waiting line; fair shares between namespaces may let others pass. */
export const queueSchema = z
  .object({ place: z.int().openapi({ description: '1 is next.' }), of: z.int() })
  .openapi('QueuePlace');

/** One run as every answer shows it (docs/product.md, section 12). */
export const runSchema = z
  .object({
    id: z.string(),
    number: z.int().openapi({ description: 'Counts per chain.' }),
    status: z.enum(runStatuses),
    result: z.enum(runResults).nullable(),
    reason: reasonSchema.nullable(),
    chain: z
      .object({ id: z.string(), name: z.string(), version: z.int(), currentVersion: z.int().nullable() })
      .nullable()
      .openapi({ description: 'version: as run; currentVersion: now, null once deleted. Null outside a chain.' }),
    repository: placeSchema,
    cause: z.enum(runCauses),
    actor: z.string().nullable(),
    source: z
      .object({
        ref: z.string(),
        refType: z.enum(['branch', 'tag']),
        commit: z.string(),
        message: z.string().nullable(),
        author: z.string().nullable(),
      })
      .nullable(),
    tags: z.array(z.string()),
    images: z.array(z.object({ tag: z.string(), digest: z.string(), platforms: z.array(z.string()) })),
    build: z.string().nullable(),
    steps: z.array(stepSchema),
    supersededBy: otherRunSchema.nullable().openapi({ description: 'The newer run it gave way to.' }),
    supersedes: otherRunSchema.nullable().openapi({ description: 'The older run that gave way to it.' }),
    queue: queueSchema
      .nullable()
      .openapi({ description: 'Waiting for the run before it or, once started, for a worker that builds.' }),
    isLate: z
      .boolean()
      .openapi({ description: 'Its push was told after a newer one: it moves no tag, and makes missing ones.' }),
    queuedAt: timeSchema,
    startedAt: timeSchema.nullable(),
    endedAt: timeSchema.nullable(),
    attempt: z.int(),
    version: z.int().openapi({ description: 'Grows with every change; drop older states.' }),
    cancelRequestedBy: z.string().nullable(),
    temporal: z.object({ workflowId: z.string(), runId: z.string().nullable(), url: z.url().nullable() }),
  })
  .openapi('Run');

export const runExample = {
  id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
  number: 38,
  status: 'complete',
  result: 'success',
  reason: { code: 'run.success', params: {}, text: 'Succeeded in 3 m 12 s: 2 tags, 2 copies, 3 triggers' },
  chain: { id: 'chi-8f2k1m9q0w3e5r7t', name: 'main', version: 3, currentVersion: 4 },
  repository: placeExample,
  cause: 'source_push',
  actor: 'octocat',
  source: {
    ref: 'main',
    refType: 'branch',
    commit: 'd4ef3dc3b77a011a5779eec7efdd450123456789',
    message: 'Fix',
    author: 'Ada',
  },
  tags: ['latest'],
  images: [],
  build: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7e',
  steps: [],
  supersededBy: null,
  supersedes: { id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c70', number: 37 },
  queue: null,
  isLate: false,
  queuedAt: '2026-11-21T12:00:00.000Z',
  startedAt: '2026-11-21T12:00:01.000Z',
  endedAt: '2026-11-21T12:03:13.000Z',
  attempt: 1,
  version: 14,
  cancelRequestedBy: null,
  temporal: { workflowId: 'chain/chi-8f2k1m9q0w3e5r7t/manual/019ab2c4', runId: null, url: null },
};

type TemporalConfig = Pick<Config, 'SLIPWAY_TEMPORAL_UI_URL' | 'SLIPWAY_TEMPORAL_NAMESPACE'>;

/** A run with the steps given; secrets are in none of its columns. */
export function toApiRun(
  run: RunWithPlace,
  {
    steps,
    children = [],
    queue = null,
    config,
  }: {
    steps: readonly RunStepRow[];
    children?: readonly RunStepChildRow[];
    queue?: QueuePlace | null;
    config: TemporalConfig;
  },
): z.infer<typeof runSchema> {
  return {
    id: run.id,
    number: run.number,
    status: run.status,
    result: run.result,
    reason: run.reason,
    chain: chainOf(run),
    repository: {
      id: run.repository_id,
      namespace: run.namespace,
      name: run.repository,
      instance: run.instance,
    },
    cause: run.cause,
    actor: run.actor,
    source: sourceOf(run),
    tags: [...run.tags],
    images: run.images.map((image) => ({ ...image, platforms: [...image.platforms] })),
    build: run.build_id,
    steps: steps
      .filter((step) => step.run_id === run.id)
      .map((step) =>
        toApiStep(
          step,
          children.filter((child) => child.step === step.name),
        ),
      ),
    supersededBy: otherRun(run.superseded_by_id, run.superseded_by_number),
    supersedes: otherRun(run.supersedes_id, run.supersedes_number),
    queue,
    isLate: run.order_no === lateOrderNo,
    queuedAt: timeOf(run.queued_at),
    startedAt: timeOrNull(run.started_at),
    endedAt: timeOrNull(run.ended_at),
    attempt: run.attempt,
    version: run.version,
    cancelRequestedBy: run.cancel_requested_by,
    temporal: temporalOf(run, config),
  };
}

function otherRun(id: string | null, number: number | null) {
  return id === null || number === null ? null : { id, number };
}

function chainOf(run: RunWithPlace): z.infer<typeof runSchema>['chain'] {
  const { chain_started_id: id, chain_name: name, chain_version: version, chain_current_version: currentVersion } = run;
  return id === null || name === null || version === null ? null : { id, name, version, currentVersion };
}

function sourceOf(run: RunWithPlace): z.infer<typeof runSchema>['source'] {
  const { ref, ref_type: refType, commit, message, author } = run;
  return ref === null || refType === null || commit === null ? null : { ref, refType, commit, message, author };
}

function temporalOf(
  { workflow_id: workflowId, workflow_run_id: runId }: RunWithPlace,
  { SLIPWAY_TEMPORAL_UI_URL: ui, SLIPWAY_TEMPORAL_NAMESPACE: namespace }: TemporalConfig,
) {
  const path = `/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;
  return { workflowId, runId, url: ui === undefined ? null : `${ui.replace(/\/+$/, '')}${path}` };
}

function toApiStep(step: RunStepRow, children: readonly RunStepChildRow[]): z.infer<typeof stepSchema> {
  return {
    name: step.name,
    state: step.state,
    why: step.why,
    startedAt: timeOrNull(step.started_at),
    endedAt: timeOrNull(step.ended_at),
    queuedMs: step.queued_ms,
    attempts: step.attempts,
    reason: step.reason,
    result: step.result ?? null,
    children: children.map((child) => ({
      key: child.key,
      state: child.state,
      startedAt: timeOrNull(child.started_at),
      endedAt: timeOrNull(child.ended_at),
      reason: child.reason,
      result: child.result ?? null,
    })),
  };
}
