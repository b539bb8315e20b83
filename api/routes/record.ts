import { z } from '@hono/zod-openapi';
import { getChain } from '../../db/repositories/chain.ts';
import { placesOfRuns } from '../../db/repositories/queue.ts';
import { getRun, listRunChildren, listRunEvents, listRuns, listRunSteps } from '../../db/repositories/record-read.ts';
import type { RunWithPlace } from '../../db/repositories/record-read.ts';
import { listTagFences } from '../../db/repositories/tag-fence.ts';
import type { RunEventRow } from '../../db/tables/record.ts';
import { runFilterSchema } from '../../domain/record.ts';
import { cancelRun } from '../cancel-run.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, jsonBody, newRoutes, route } from '../route.ts';
import { runExample, runSchema, toApiRun } from '../run-shape.ts';
import { timeOf, timeSchema } from '../shapes.ts';
import { startChainRun } from '../start-chain-run.ts';

const startSchema = z
  .strictObject({
    repository: z
      .string()
      .min(1)
      .max(300)
      .openapi({ description: "An id, or namespace/name in the chain's instance." }),
    rule: z.string().min(1).max(255).optional(),
    ref: z.string().min(1).max(255).optional().openapi({ description: 'Branch or tag without refs/…/.' }),
    tag: z.string().min(1).max(255).optional().openapi({ description: 'Start from this image instead of building.' }),
  })
  .refine(({ tag, rule, ref }) => tag === undefined || (rule === undefined && ref === undefined), {
    path: ['tag'],
    message: 'A run starts from a tag or from a ref, not from both. Leave out "tag", or "rule" and "ref".',
  })
  .openapi('StartRun');

const tagFenceSchema = z
  .object({ tag: z.string(), run: z.object({ id: z.string(), number: z.int() }) })
  .openapi('TagFence');

const recordSchema = runSchema
  .extend({
    tagFence: z.object({
      heldBy: z
        .array(tagFenceSchema)
        .openapi({ description: 'Tags of this run that newer runs hold: built, not moved.' }),
      keptFrom: z.array(tagFenceSchema).openapi({ description: 'Tags this run holds that older runs did not move.' }),
    }),
    snapshot: z.object({
      chain: z.unknown().openapi({ description: 'Nodes, policy, rules and triggers as at the start.' }),
      rule: z.unknown().openapi({ description: 'The build rule as at the start; null where nothing is built.' }),
    }),
  })
  .openapi('Record');

const eventSchema = z
  .object({
    id: z.string(),
    type: z.string().openapi({ example: 'step.running' }),
    data: z.unknown(),
    version: z.int(),
    at: timeSchema,
  })
  .openapi('RunEvent');

const page = { items: [runExample], nextCursor: null };
const runResource = 'repository/{instance}/{namespace}/{repository}';

const start = route(
  { action: 'cr:StartChain', resource: 'instance/{instance}', example: runExample },
  {
    method: 'post',
    path: '/chains/{id}/runs',
    summary: 'Start a chain by hand, from a ref or from an existing tag',
    request: { params: idParam, body: jsonBody(startSchema) },
    responses: { 202: json(runSchema, 'The run; the same rule, ref and commit already live answers with that run.') },
  },
);
const listOfChain = route(
  { action: 'cr:ListChainInstance', resource: 'instance/{instance}', example: page },
  {
    method: 'get',
    path: '/chains/{id}/runs',
    summary: 'List the runs of a chain',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(runSchema), 'Runs, newest first.') },
  },
);
const list = route(
  { action: 'cr:ListChainInstance', resource: '*', example: page },
  {
    method: 'get',
    path: '/runs',
    summary: 'List Records',
    request: { query: pageQuery.extend(runFilterSchema.shape).strict() },
    responses: { 200: json(pageOf(runSchema), 'Runs, newest first.') },
  },
);
const read = route(
  {
    action: 'cr:GetChainInstance',
    resource: runResource,
    example: { ...runExample, tagFence: { heldBy: [], keptFrom: [] }, snapshot: { chain: {}, rule: null } },
  },
  {
    method: 'get',
    path: '/runs/{id}',
    summary: 'Read a Record: header, steps with children, configuration as run',
    request: { params: idParam },
    responses: { 200: json(recordSchema, 'The Record.') },
  },
);
const listEvents = route(
  { action: 'cr:GetChainInstance', resource: runResource, example: { items: [], nextCursor: null } },
  {
    method: 'get',
    path: '/runs/{id}/events',
    summary: "List a Record's trail",
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(eventSchema), 'Events, oldest first.') },
  },
);
const cancel = route(
  { action: 'cr:CancelChainInstance', resource: runResource, example: runExample },
  {
    method: 'post',
    path: '/runs/{id}/cancel',
    summary: 'Cancel a run that has not ended',
    request: { params: idParam },
    responses: { 202: json(runSchema, 'It is being canceled.') },
  },
);

type RecordDeps = Pick<
  ApiDeps,
  'db' | 'config' | 'cursors' | 'clock' | 'engine' | 'sourceLogins' | 'git' | 'starter' | 'registries'
>;

/** Runs and their Records (docs/product.md, section 12). */
export function recordRoutes(deps: RecordDeps) {
  const { db, config, cursors } = deps;
  const shapeRun = async (id: string) => {
    const run = await getRun(db, id);
    const [steps, places] = await Promise.all([listRunSteps(db, [id]), placesOfRuns(db, [run])]);
    return toApiRun(run, { steps, queue: places.get(id) ?? null, config });
  };
  /** Shapes the rows of one list page. */
  const shaperOf = async (rows: readonly RunWithPlace[]) => {
    const [steps, places] = await Promise.all([listRunSteps(db, idsOf(rows)), placesOfRuns(db, rows)]);
    return (run: RunWithPlace) => toApiRun(run, { steps, queue: places.get(run.id) ?? null, config });
  };
  const cursorOf = (filters: unknown) => (run: RunWithPlace) =>
    cursors.write({ key: timeOf(run.queued_at), id: run.id }, filters);

  return newRoutes('run')
    .openapi(start, async (c) => {
      const request = { ...c.req.valid('json'), chainId: c.req.valid('param').id };
      const { id } = await startChainRun(deps, { ...request, cause: c.get('byHand'), actor: c.get('actor') });
      c.header('location', `/v1/runs/${id}`);
      return c.json(await shapeRun(id), 202);
    })
    .openapi(listOfChain, async (c) => {
      const { id: chain } = await getChain(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['runs', { chain }];
      const rows = await listRuns(db, { chain }, cursors.read(query, filters));
      const toItem = await shaperOf(rows);
      return c.json(toPage(c, { rows, limit: query.limit, toItem, cursorOf: cursorOf(filters) }), 200);
    })
    .openapi(list, async (c) => {
      const { limit, cursor, ...filter } = c.req.valid('query');
      const filters = ['runs', filter];
      const rows = await listRuns(db, filter, cursors.read({ limit, cursor }, filters));
      const toItem = await shaperOf(rows);
      return c.json(toPage(c, { rows, limit, toItem, cursorOf: cursorOf(filters) }), 200);
    })
    .openapi(read, async (c) => {
      const { id } = c.req.valid('param');
      const run = await getRun(db, id);
      const [steps, children, places, tagFence] = await Promise.all([
        listRunSteps(db, [id]),
        listRunChildren(db, { runId: id, attempt: run.attempt }),
        placesOfRuns(db, [run]),
        listTagFences(db, id),
      ]);
      const shaped = toApiRun(run, { steps, children, queue: places.get(id) ?? null, config });
      return c.json({ ...shaped, tagFence: toApiFences(tagFence), snapshot: snapshotOf(run) }, 200);
    })
    .openapi(listEvents, async (c) => {
      const { id } = await getRun(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['run-events', id];
      const rows = await listRunEvents(db, id, cursors.read(query, filters));
      const eventCursor = (event: RunEventRow) => cursors.write({ key: '', id: String(event.id) }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiEvent, cursorOf: eventCursor }), 200);
    })
    .openapi(cancel, async (c) => {
      const { id } = c.req.valid('param');
      await cancelRun(deps, { runId: id, actor: c.get('actor') });
      c.header('location', `/v1/runs/${id}`);
      return c.json(await shapeRun(id), 202);
    });
}

function idsOf(rows: readonly RunWithPlace[]): string[] {
  return rows.map((run) => run.id);
}

function toApiFences({ heldBy, keptFrom }: Awaited<ReturnType<typeof listTagFences>>) {
  return { heldBy: [...heldBy], keptFrom: [...keptFrom] };
}

function snapshotOf({ input: { chain, origin } }: Awaited<ReturnType<typeof getRun>>) {
  return { chain, rule: origin.kind === 'source' ? origin.rule : null };
}

function toApiEvent({ id, type, data, version, at }: RunEventRow): z.infer<typeof eventSchema> {
  return { id: String(id), type, data: data ?? null, version, at: timeOf(at) };
}
