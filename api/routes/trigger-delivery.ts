import { z } from '@hono/zod-openapi';
import { getDelivery, listDeliveries } from '../../db/repositories/delivery-read.ts';
import type { DeliveryWithAttempts } from '../../db/repositories/delivery-read.ts';
import { getTrigger } from '../../db/repositories/trigger-rule.ts';
import { deliveryStatuses } from '../../domain/trigger.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, newRoutes, route } from '../route.ts';
import { resendDelivery, sendTest } from '../send-trigger.ts';
import { reasonSchema, timeOf, timeOrNull, timeSchema } from '../shapes.ts';

const headersSchema = z.record(z.string(), z.string());
const attemptSchema = z.object({
  number: z.int(),
  state: z.enum(['sending', 'ended']),
  at: timeSchema,
  durationMs: z.int().nullable(),
  statusCode: z.int().nullable(),
  errorClass: z.string().nullable().openapi({ description: 'Why there was no answer.' }),
  requestHeaders: headersSchema,
  requestBody: z.string(),
  responseHeaders: headersSchema.nullable(),
  responseBody: z.string().nullable(),
});
const deliverySchema = z
  .object({
    id: z.string(),
    trigger: z.string(),
    run: z.string().nullable(),
    status: z.enum(deliveryStatuses),
    reason: reasonSchema.nullable(),
    webhookId: z.string().openapi({ description: 'The same over retries and resends.' }),
    event: z.enum(['image.updated', 'test']),
    tag: z.string().nullable(),
    digest: z.string().nullable(),
    attempts: z.array(attemptSchema),
    resends: z.int(),
    nextAttemptAt: timeSchema.nullable(),
    createdAt: timeSchema,
    endedAt: timeSchema.nullable(),
  })
  .openapi('Delivery');

const example = {
  id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c90',
  trigger: 'crw-8f2k1m9q0w3e5r7t',
  run: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
  status: 'delivered',
  reason: null,
  webhookId: 'msg_0a1b2c3d4e5f60718293a4b5c6d7e8f9',
  event: 'image.updated',
  tag: 'latest',
  digest: 'sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945',
  attempts: [],
  resends: 0,
  nextAttemptAt: null,
  createdAt: '2026-11-21T12:03:00.000Z',
  endedAt: '2026-11-21T12:03:01.000Z',
};
const resource = 'repository/{instance}/{namespace}/{repository}';

const test = route(
  { action: 'cr:SendWebHook', resource, example },
  {
    method: 'post',
    path: '/triggers/{id}/test',
    summary: 'Send a test message',
    request: { params: idParam },
    responses: { 202: json(deliverySchema, 'It is on its way.') },
  },
);
const list = route(
  { action: 'cr:GetWebHookLog', resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/triggers/{id}/deliveries',
    summary: 'List the deliveries of a trigger',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(deliverySchema), 'Deliveries, newest first.') },
  },
);
const read = route(
  { action: 'cr:GetWebHookLog', resource, example },
  {
    method: 'get',
    path: '/deliveries/{id}',
    summary: 'Read a delivery with every request and response',
    request: { params: idParam },
    responses: { 200: json(deliverySchema, 'The delivery.') },
  },
);
const resend = route(
  { action: 'cr:SendWebHook', resource, example },
  {
    method: 'post',
    path: '/deliveries/{id}/resend',
    summary: 'Send a delivery again, under the same webhook-id',
    request: { params: idParam },
    responses: { 202: json(deliverySchema, 'It is on its way.') },
  },
);

type DeliveryDeps = Pick<ApiDeps, 'db' | 'cursors' | 'engine' | 'clock' | 'config'>;

/** What triggers sent, and sending again (docs/product.md, section 11, "History"). */
export function triggerDeliveryRoutes(deps: DeliveryDeps) {
  const { db, cursors } = deps;
  return newRoutes('delivery')
    .openapi(test, async (c) => {
      const id = await sendTest(deps, c.req.valid('param').id);
      c.header('location', `/v1/deliveries/${id}`);
      return c.json(toApiDelivery(await getDelivery(db, id)), 202);
    })
    .openapi(list, async (c) => {
      const { id } = await getTrigger(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['deliveries', id];
      const rows = await listDeliveries(db, id, cursors.read(query, filters));
      const cursorOf = (row: DeliveryWithAttempts) =>
        cursors.write({ key: timeOf(row.created_at), id: row.id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiDelivery, cursorOf }), 200);
    })
    .openapi(read, async (c) => c.json(toApiDelivery(await getDelivery(db, c.req.valid('param').id)), 200))
    .openapi(resend, async (c) => {
      const { id } = c.req.valid('param');
      await resendDelivery(deps, id);
      c.header('location', `/v1/deliveries/${id}`);
      return c.json(toApiDelivery(await getDelivery(db, id)), 202);
    });
}

/** Headers are stored masked, and the body is what the receiver got: no secret of ours is in it. */
function toApiDelivery(row: DeliveryWithAttempts): z.infer<typeof deliverySchema> {
  return {
    id: row.id,
    trigger: row.trigger_id,
    run: row.run_id,
    status: row.status,
    reason: row.reason,
    webhookId: row.webhook_id,
    event: row.event,
    tag: row.tag,
    digest: row.digest,
    attempts: row.attempts.map((attempt) => ({
      number: attempt.number,
      state: attempt.state,
      at: timeOf(attempt.at),
      durationMs: attempt.duration_ms,
      statusCode: attempt.status_code,
      errorClass: attempt.error_class,
      requestHeaders: attempt.request_headers,
      requestBody: attempt.request_body,
      responseHeaders: attempt.response_headers,
      responseBody: attempt.response_body,
    })),
    resends: row.resends,
    nextAttemptAt: timeOrNull(row.next_attempt_at),
    createdAt: timeOf(row.created_at),
    endedAt: timeOrNull(row.ended_at),
  };
}
