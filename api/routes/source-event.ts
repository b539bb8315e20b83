import { z } from '@hono/zod-openapi';
import { listInbox } from '../../db/repositories/inbox.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import { ignoredReasons, sourceHostNames } from '../../domain/source.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, newRoutes, route } from '../route.ts';
import { timeOf, timeOrNull, timeSchema } from '../shapes.ts';

const outcomeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('runs'), runs: z.array(z.string()) }),
  z.object({ kind: z.literal('ignored'), reason: z.enum(ignoredReasons) }),
  z.object({ kind: z.literal('duplicate'), of: z.string() }),
  z.object({ kind: z.literal('superseded'), by: z.string() }),
  z.object({ kind: z.literal('invalid'), reason: z.string() }),
]);
const changeSchema = z.intersection(
  z.object({ ref: z.string(), refType: z.enum(['branch', 'tag']), commit: z.string().nullable() }),
  outcomeSchema,
);
const eventSchema = z
  .object({
    id: z.string(),
    deliveryId: z.string().openapi({ description: "The source host's own id." }),
    host: z.enum(sourceHostNames),
    event: z.string(),
    state: z.enum(['pending', 'handled']),
    outcome: outcomeSchema.nullable().openapi({ description: 'What it started, or why nothing; null while pending.' }),
    changes: z
      .array(changeSchema)
      .openapi({ description: 'Each ref the delivery told of, with what became of it; empty while pending.' }),
    receivedAt: timeSchema,
    handledAt: timeSchema.nullable(),
  })
  .openapi('SourceEvent');

const example = {
  id: '1042',
  deliveryId: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
  host: 'github',
  event: 'push',
  state: 'handled',
  outcome: { kind: 'runs', runs: ['019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d'] },
  changes: [
    {
      ref: 'main',
      refType: 'branch',
      commit: '6113728f27ae82c7b1a177c8d03f9e96e0adf246',
      kind: 'runs',
      runs: ['019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d'],
    },
  ],
  receivedAt: '2026-11-21T12:00:00.000Z',
  handledAt: '2026-11-21T12:00:00.080Z',
};

const list = route(
  {
    action: 'cr:GetSourceCode',
    resource: 'repository/{instance}/{namespace}/{repository}',
    example: { items: [example], nextCursor: null },
  },
  {
    method: 'get',
    path: '/repositories/{id}/source-events',
    summary: "List the deliveries of a repository's source, each with what became of it",
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(eventSchema), 'Deliveries, newest first.') },
  },
);

type Row = Awaited<ReturnType<typeof listInbox>>[number];

/** The inbox of a binding (docs/product.md, section 5, "What starts what"). */
export function sourceEventRoutes({ db, cursors }: Pick<ApiDeps, 'db' | 'cursors'>) {
  return newRoutes('source').openapi(list, async (c) => {
    const { id: repositoryId } = await getRepository(db, c.req.valid('param').id);
    const query = c.req.valid('query');
    const filters = ['source-events', repositoryId];
    const rows = await listInbox(db, repositoryId, cursors.read(query, filters));
    const cursorOf = (row: Row) => cursors.write({ key: '', id: String(row.id) }, filters);
    return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiEvent, cursorOf }), 200);
  });
}

function toApiEvent(row: Row): z.infer<typeof eventSchema> {
  return {
    id: String(row.id),
    deliveryId: row.delivery_id,
    host: row.host,
    event: row.event,
    state: row.state,
    outcome: outcomeSchema.nullable().parse(row.outcome),
    changes: z.array(changeSchema).parse(row.changes ?? []),
    receivedAt: timeOf(row.received_at),
    handledAt: timeOrNull(row.handled_at),
  };
}
