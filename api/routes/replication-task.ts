import { z } from '@hono/zod-openapi';
import { getReplicationTask, listReplicationTasks } from '../../db/repositories/replicate-read.ts';
import type { ReplicationTaskRow } from '../../db/tables/replicate.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, newRoutes, route } from '../route.ts';
import { reasonSchema, timeOf, timeOrNull, timeSchema } from '../shapes.ts';

const statusSchema = z.enum(['pending', 'running', 'success', 'failed', 'canceled']);
const taskSchema = z
  .object({
    id: z.string(),
    rule: z.string(),
    run: z.string().nullable(),
    digest: z.string(),
    destination: z.string().openapi({ description: 'instance/namespace/repository:tag' }),
    status: statusSchema,
    issue: z.string().nullable().openapi({ description: 'What went wrong in the last attempt, by its class.' }),
    reason: reasonSchema.nullable(),
    bytes: z.object({ total: z.int(), copied: z.int() }),
    blobs: z.object({ copied: z.int(), mounted: z.int(), skipped: z.int() }),
    attempts: z.int(),
    createdAt: timeSchema,
    startedAt: timeSchema.nullable(),
    endedAt: timeSchema.nullable(),
    verifiedAt: timeSchema.nullable().openapi({ description: 'When it was read back at the destination.' }),
  })
  .openapi('ReplicationTask');

const example = {
  id: 'rst-8f2k1m9q0w3e5r7t',
  rule: 'crsr-8f2k1m9q0w3e5r7t',
  run: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
  digest: 'sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945',
  destination: 'singapore/shop/web:latest',
  status: 'success',
  issue: null,
  reason: null,
  bytes: { total: 31_457_280, copied: 1_048_576 },
  blobs: { copied: 1, mounted: 0, skipped: 11 },
  attempts: 1,
  createdAt: '2026-11-21T12:02:20.000Z',
  startedAt: '2026-11-21T12:02:20.000Z',
  endedAt: '2026-11-21T12:02:24.000Z',
  verifiedAt: '2026-11-21T12:02:24.000Z',
};
const meta = { action: 'cr:GetRepositorySync', resource: 'repository/{instance}/{namespace}/{repository}' } as const;

const list = route(
  { ...meta, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/replication-tasks',
    summary: 'List copies',
    request: {
      query: pageQuery
        .extend({ rule: z.string().optional(), run: z.string().optional(), status: statusSchema.optional() })
        .strict(),
    },
    responses: { 200: json(pageOf(taskSchema), 'Tasks, newest first.') },
  },
);
const read = route(
  { ...meta, example },
  {
    method: 'get',
    path: '/replication-tasks/{id}',
    summary: 'Read a copy',
    request: { params: idParam },
    responses: { 200: json(taskSchema, 'The task.') },
  },
);

/** Copies to other registries, one task per destination (docs/product.md, section 10, "Task"). */
export function replicationTaskRoutes({ db, cursors }: Pick<ApiDeps, 'db' | 'cursors'>) {
  return newRoutes('replication_task')
    .openapi(list, async (c) => {
      const { limit, cursor, ...filter } = c.req.valid('query');
      const filters = ['replication-tasks', filter];
      const rows = await listReplicationTasks(db, filter, cursors.read({ limit, cursor }, filters));
      const cursorOf = (task: ReplicationTaskRow) =>
        cursors.write({ key: timeOf(task.created_at), id: task.id }, filters);
      return c.json(toPage(c, { rows, limit, toItem: toApiTask, cursorOf }), 200);
    })
    .openapi(read, async (c) => c.json(toApiTask(await getReplicationTask(db, c.req.valid('param').id)), 200));
}

function toApiTask(task: ReplicationTaskRow): z.infer<typeof taskSchema> {
  return {
    id: task.id,
    rule: task.rule_id,
    run: task.run_id,
    digest: task.digest,
    destination: task.destination_key,
    status: task.status,
    issue: task.issue,
    reason: task.reason,
    bytes: { total: task.bytes_total, copied: task.bytes_copied },
    blobs: { copied: task.blobs_copied, mounted: task.blobs_mounted, skipped: task.blobs_skipped },
    attempts: task.attempts,
    createdAt: timeOf(task.created_at),
    startedAt: timeOrNull(task.started_at),
    endedAt: timeOrNull(task.ended_at),
    verifiedAt: timeOrNull(task.verified_at),
  };
}
