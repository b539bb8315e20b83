import { z } from '@hono/zod-openapi';
import { listInbox } from '../../db/repositories/inbox.ts';
import { listNamedRuns } from '../../db/repositories/record-read.ts';
import type { NamedRun } from '../../db/repositories/record-read.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import { runResults, runStatuses } from '../../domain/record.ts';
import { ignoredReasons, inboxFilters, sourceHostNames } from '../../domain/source.ts';
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
const namedRunSchema = z.object({
  id: z.string(),
  chain: z.string().nullable().openapi({ description: 'null: a build outside a chain, which has no Record.' }),
  number: z.int(),
  build: z.string().nullable(),
  status: z.enum(runStatuses),
  result: z.enum(runResults).nullable(),
});
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
    runs: z.array(namedRunSchema).openapi({
      description: 'The runs and builds its outcomes name, as they stand now; those deleted since are left out.',
    }),
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
  runs: [
    {
      id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
      chain: 'web',
      number: 42,
      build: '019ab2c4-7d12-7f0e-8a31-5b7e1c9d2f40',
      status: 'complete',
      result: 'success',
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
    request: {
      params: idParam,
      query: pageQuery.extend({
        outcome: z
          .enum(inboxFilters)
          .optional()
          .openapi({ description: 'Only deliveries that came to this; `pending`: not looked at yet.' }),
      }),
    },
    responses: { 200: json(pageOf(eventSchema), 'Deliveries, newest first.') },
  },
);

type Row = Awaited<ReturnType<typeof listInbox>>[number];

/** The inbox of a binding (docs/product.md, section 5, "What starts what"). */
export function sourceEventRoutes({ db, cursors }: Pick<ApiDeps, 'db' | 'cursors'>) {
  return newRoutes('source').openapi(list, async (c) => {
    const { id: repositoryId } = await getRepository(db, c.req.valid('param').id);
    const query = c.req.valid('query');
    const filters = ['source-events', repositoryId, query.outcome ?? null];
    const rows = await listInbox(db, { repositoryId, outcome: query.outcome }, cursors.read(query, filters));
    const named = await listNamedRuns(db, repositoryId, rows.flatMap(runsNamed));
    const toItem = (row: Row) => toApiEvent(row, named);
    const cursorOf = (row: Row) => cursors.write({ key: '', id: String(row.id) }, filters);
    return c.json(toPage(c, { rows, limit: query.limit, toItem, cursorOf }), 200);
  });
}

/** The runs its own outcome and those of its changes name, each once. */
function runsNamed({ outcome, changes }: Row): readonly string[] {
  const outcomes = [outcomeSchema.nullable().parse(outcome), ...z.array(changeSchema).parse(changes ?? [])];
  return [
    ...new Set(
      outcomes.flatMap((each) => {
        if (each?.kind === 'runs') return each.runs;
        return each?.kind === 'duplicate' ? [each.of] : [];
      }),
    ),
  ];
}

function toApiEvent(row: Row, named: ReadonlyMap<string, NamedRun>): z.infer<typeof eventSchema> {
  return {
    id: String(row.id),
    deliveryId: row.delivery_id,
    host: row.host,
    event: row.event,
    state: row.state,
    outcome: outcomeSchema.nullable().parse(row.outcome),
    changes: z.array(changeSchema).parse(row.changes ?? []),
    runs: runsNamed(row).flatMap((id) => named.get(id) ?? []),
    receivedAt: timeOf(row.received_at),
    handledAt: timeOrNull(row.handled_at),
  };
}
