import { z } from '@hono/zod-openapi';
import type { BuildWithParts } from '../db/repositories/build.ts';
import type { BuildArchitectureRow } from '../db/tables/build.ts';
import { architectures } from '../domain/build.ts';
import { buildStages } from '../domain/log-line.ts';
import { runCauses } from '../domain/record.ts';
import { queueSchema } from './run-shape.ts';
import { placeExample, placeSchema, reasonSchema, timeOf, timeOrNull, timeSchema } from './shapes.ts';

const statusSchema = z.enum(['pending', 'building', 'success', 'failed', 'canceled']);
const buildReasonSchema = reasonSchema.extend({ fault: z.enum(['user', 'system']) }).openapi('BuildReason');

/** One build as every answer shows it (docs/product.md, section 7). */
export const buildSchema = z
  .object({
    id: z.string(),
    repository: placeSchema,
    rule: z.object({ id: z.string().nullable(), definition: z.unknown() }).openapi({ description: 'As it was.' }),
    cause: z.enum(runCauses),
    ref: z.string(),
    refType: z.enum(['branch', 'tag']),
    commit: z.string(),
    message: z.string().nullable(),
    author: z.string().nullable().openapi({ description: 'As the commit says; unverified.' }),
    imageTags: z.array(z.string()),
    digest: z.string().nullable(),
    partial: z.boolean().openapi({ description: 'Architectures that failed are not in the image.' }),
    status: statusSchema,
    stage: z.enum(buildStages).nullable(),
    queuePlace: queueSchema.nullable().openapi({ description: 'While it waits for a worker.' }),
    region: z.string().openapi({ description: 'Whose workers build it.' }),
    architectures: z.array(
      z.object({
        platform: z.enum(architectures),
        status: statusSchema,
        digest: z.string().nullable(),
        sizeBytes: z.int().nullable(),
        durationMs: z.int().nullable(),
        cachedSteps: z.int().nullable(),
        reused: z.boolean().openapi({ description: 'Taken over from an earlier build of the commit.' }),
        attempts: z.int(),
        reason: buildReasonSchema.nullable(),
      }),
    ),
    log: z.object({ lines: z.int(), bytes: z.int(), truncated: z.boolean() }),
    queuedAt: timeSchema,
    startedAt: timeSchema.nullable(),
    endedAt: timeSchema.nullable(),
    reason: buildReasonSchema.nullable(),
    run: z.string().nullable().openapi({ description: 'The run it is a step of; null outside a chain.' }),
  })
  .openapi('Build');

export const buildExample = {
  id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7e',
  repository: placeExample,
  rule: { id: 'crbr-8f2k1m9q0w3e5r7t', definition: { ref: { type: 'branch', name: 'main', match: 'exact' } } },
  cause: 'source_push',
  ref: 'main',
  refType: 'branch',
  commit: 'd4ef3dc3b77a011a5779eec7efdd450123456789',
  message: 'Fix',
  author: 'Ada',
  imageTags: ['latest'],
  digest: null,
  partial: false,
  status: 'building',
  stage: 'build',
  queuePlace: null,
  region: 'cn-hangzhou',
  architectures: [],
  log: { lines: 120, bytes: 9_000, truncated: false },
  queuedAt: '2026-11-21T12:00:00.000Z',
  startedAt: '2026-11-21T12:00:01.000Z',
  endedAt: null,
  reason: null,
  run: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
};

export function toApiBuild(build: BuildWithParts): z.infer<typeof buildSchema> {
  return {
    id: build.id,
    repository: {
      id: build.repository_id,
      namespace: build.namespace,
      name: build.repository,
      instance: build.instance,
    },
    rule: { id: build.build_rule_id, definition: build.rule },
    cause: build.cause,
    ref: build.ref,
    refType: build.ref_type,
    commit: build.commit,
    message: build.message,
    author: build.author,
    imageTags: [...build.image_tags],
    digest: build.digest,
    partial: build.is_partial,
    status: build.status,
    stage: build.stage,
    queuePlace: build.queuePlace,
    region: build.region,
    architectures: build.architectures.map(toApiArchitecture),
    log: { lines: build.log_lines, bytes: build.log_bytes, truncated: build.is_log_truncated },
    queuedAt: timeOf(build.queued_at),
    startedAt: timeOrNull(build.started_at),
    endedAt: timeOrNull(build.ended_at),
    reason: build.reason,
    run: build.run_number === 0 ? null : build.run_id,
  };
}

function toApiArchitecture(row: BuildArchitectureRow) {
  const { started_at: start, ended_at: end } = row;
  return {
    platform: row.platform,
    status: row.status,
    digest: row.digest,
    sizeBytes: row.size_bytes,
    durationMs: start === null || end === null ? null : end.getTime() - start.getTime(),
    cachedSteps: row.cached_steps,
    reused: row.is_reused,
    attempts: row.attempts,
    reason: row.reason,
  };
}
