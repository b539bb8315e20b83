import { z } from '@hono/zod-openapi';
import { getLogHead, listMarkedSegments, listPlatformRanges } from '../../db/repositories/log.ts';
import type { LogHead } from '../../db/repositories/log.ts';
import { architectures } from '../../domain/build.ts';
import { limits } from '../../domain/limits.ts';
import { buildStages } from '../../domain/log-line.ts';
import { logStepStates, stepsOfLog } from '../../domain/log-steps.ts';
import { createLogReader } from '../build-log.ts';
import type { ApiDeps } from '../deps.ts';
import { eventStream } from '../event-stream.ts';
import { createLogHub } from '../log-hub.ts';
import { searchLog } from '../log-search.ts';
import { followLog } from '../log-stream.ts';
import { parseRange, rawLog } from '../raw-log.ts';
import { idParam, json, newRoutes, route } from '../route.ts';

const searchHits = 1_000;

const lineSchema = z
  .object({
    line: z.int().openapi({ description: 'Counts from 1; all architectures share one numbering.' }),
    time: z.string(),
    stage: z.enum(buildStages),
    platform: z.enum(architectures).nullable(),
    text: z.string(),
  })
  .openapi('LogLine');
const headSchema = z.object({
  lines: z.int().openapi({ description: 'How many lines the log has now.' }),
  ended: z.boolean().openapi({ description: 'Whether no line can come any more.' }),
  removed: z.boolean().openapi({ description: 'Whether its lines are gone because their time is over.' }),
});
const pageSchema = headSchema.extend({ items: z.array(lineSchema) }).openapi('LogPage');
const searchSchema = headSchema
  .extend({
    items: z.array(lineSchema),
    nextOffset: z.int().nullable().openapi({
      description: 'The `offset` that goes on: as many as asked for were found, or the time for one answer was over.',
    }),
  })
  .openapi('LogSearch');
const stepsSchema = headSchema
  .extend({
    items: z.array(
      z.object({
        platform: z.enum(architectures).nullable(),
        number: z.int().openapi({ description: 'Its lines begin with `#` and this number.' }),
        name: z.string(),
        state: z.enum(logStepStates),
        line: z.int().openapi({ description: 'The line it begins with.' }),
        endLine: z.int().nullable(),
        startedAt: z.string(),
        durationMs: z.int().nullable(),
      }),
    ),
  })
  .openapi('LogSteps');
const rangesSchema = headSchema
  .extend({ items: z.array(z.object({ line: z.int(), lines: z.int() })) })
  .openapi('LogRanges');

/** A whole number in a query, `fallback` when it is left out. */
const count = ({ fallback, min, max }: { fallback: number; min: number; max: number }) =>
  z
    .string()
    .regex(/^\d{1,9}$/, { error: 'must be a whole number' })
    .optional()
    .transform((text) => (text === undefined ? fallback : Number(text)))
    .pipe(z.int().min(min).max(max))
    .openapi({ type: 'integer', minimum: min, maximum: max, default: fallback });
const lineNumber = count({ fallback: 0, min: 0, max: 999_999_999 });
const platform = z.enum(architectures).optional();
const tail = z
  .string()
  .regex(/^\d{1,4}$/, { error: 'must be a whole number' })
  .transform(Number)
  .pipe(z.int().min(1).max(limits.logPageLinesMax))
  .optional()
  .openapi({ type: 'integer', minimum: 1, maximum: limits.logPageLinesMax });

const exampleLine = {
  line: 121,
  time: '2026-11-21T12:00:03.120Z',
  stage: 'build',
  platform: 'linux/amd64',
  text: '#8 [2/4] RUN npm ci',
};
const exampleHead = { lines: 340, ended: false, removed: false };
const example = { items: [exampleLine], ...exampleHead };
const exampleStep = {
  platform: 'linux/amd64',
  number: 8,
  name: '[2/4] RUN npm ci',
  state: 'cached',
  line: 121,
  endLine: 122,
  startedAt: '2026-11-21T12:00:03.120Z',
  durationMs: 0,
};
const meta = {
  action: 'cr:GetRepositoryBuildLog',
  resource: 'repository/{instance}/{namespace}/{repository}',
} as const;
const text = { description: 'The texts of all lines.', content: { 'text/plain': { schema: z.string() } } };

const readPage = route(
  { ...meta, example },
  {
    method: 'get',
    path: '/builds/{id}/log',
    summary: "Read a build's log by lines",
    request: {
      params: idParam,
      query: z.strictObject({
        offset: lineNumber,
        limit: count({ fallback: limits.logPageLines, min: 1, max: limits.logPageLinesMax }),
        platform,
        tail,
      }),
    },
    responses: {
      200: json(
        pageSchema,
        'Lines after the first `offset` ones, or the last `tail` ones; with `platform` only its own of them.',
      ),
    },
  },
);
const readRaw = route(
  { ...meta, example: null },
  {
    method: 'get',
    path: '/builds/{id}/log/raw',
    summary: "Download a build's log as text",
    request: {
      params: idParam,
      query: z.strictObject({
        disposition: z.enum(['attachment', 'inline']).default('attachment').openapi({
          description: '`inline` is shown by a browser instead of saved.',
        }),
      }),
    },
    responses: { 200: text, 206: { description: 'The bytes of the Range asked for.' } },
  },
);
const search = route(
  { ...meta, example: { ...example, nextOffset: null } },
  {
    method: 'get',
    path: '/builds/{id}/log/search',
    summary: 'Find lines by a text, upper and lower case alike, or those that tell of an error',
    request: {
      params: idParam,
      query: z
        .strictObject({
          q: z.string().min(1).max(200).optional(),
          only: z.enum(['errors']).optional(),
          offset: lineNumber,
          limit: count({ fallback: searchHits, min: 1, max: limits.logPageLinesMax }),
          platform,
        })
        .refine(({ q, only }) => q !== undefined || only !== undefined, {
          path: ['q'],
          message: 'Nothing to look for. Give a text in "q", or only=errors.',
        }),
    },
    responses: { 200: json(searchSchema, 'Matching lines, in order.') },
  },
);
const listSteps = route(
  { ...meta, example: { items: [exampleStep], ...exampleHead } },
  {
    method: 'get',
    path: '/builds/{id}/log/steps',
    summary:
      'List the steps a build went through, each with its lines, its duration and whether it came from the cache',
    request: { params: idParam },
    responses: { 200: json(stepsSchema, 'Steps in the order they began.') },
  },
);
const listRanges = route(
  { ...meta, example: { items: [{ line: 12, lines: 40 }], ...exampleHead } },
  {
    method: 'get',
    path: '/builds/{id}/log/ranges',
    summary: "List where one architecture's lines stand in the log",
    request: { params: idParam, query: z.strictObject({ platform: z.enum(architectures) }) },
    responses: { 200: json(rangesSchema, 'Consecutive lines, in order.') },
  },
);
const stream = route(
  { ...meta, example: null },
  {
    method: 'get',
    path: '/builds/{id}/log/stream',
    summary: "Follow a build's log by server-sent events; `Last-Event-ID` resumes after that line",
    request: { params: idParam, query: z.strictObject({ after: lineNumber }) },
    responses: {
      200: {
        description:
          'Events `{items}` with the last line as id; `progress` `{platform, step, text}`, which is no line and told once; then `end`.',
        content: { 'text/event-stream': { schema: z.string() } },
      },
    },
  },
);

type BuildLogDeps = Pick<ApiDeps, 'db' | 'objectStore' | 'listener' | 'stopping'>;

/** The log of a build: paged, whole, searched, live (docs/product.md, section 7, "Log"). */
export function buildLogRoutes(deps: BuildLogDeps) {
  const { db } = deps;
  const reader = createLogReader(deps);
  const hub = createLogHub({ ...deps, reader });
  return newRoutes('build')
    .openapi(readPage, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const { offset, limit, platform: only, tail: last } = c.req.valid('query');
      const afterLine = last === undefined ? offset : Math.max(0, head.log_lines - last);
      const range = { buildId: head.id, afterLine, platform: only, signal: c.req.raw.signal };
      return c.json({ items: await reader.take({ ...range, limit: last ?? limit }), ...toApiHead(head) }, 200);
    })
    .openapi(readRaw, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const sizeBytes = head.log_removed_at === null ? head.log_bytes : 0;
      const range = parseRange(c.req.header('range'), sizeBytes);
      const { start, end } = range ?? { start: 0, end: sizeBytes };
      const headers = {
        'content-type': 'text/plain; charset=utf-8',
        'content-disposition': `${c.req.valid('query').disposition}; filename="build-${head.id}.log"`,
        'content-length': String(end - start),
        'accept-ranges': 'bytes',
        ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${sizeBytes}` }),
      };
      const body = rawLog({ db, reader }, { buildId: head.id, start, end, signal: c.req.raw.signal });
      return new Response(body, { status: range === undefined ? 200 : 206, headers });
    })
    .openapi(search, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const { q: sought = '', only, offset: afterLine, ...query } = c.req.valid('query');
      const range = { buildId: head.id, afterLine, ...query, signal: c.req.raw.signal };
      const found = await searchLog(reader, { ...range, text: sought, isErrorOnly: only === 'errors' });
      return c.json({ ...found, items: [...found.items], ...toApiHead(head) }, 200);
    })
    .openapi(listSteps, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const steps = stepsOfLog(await listMarkedSegments(db, head.id));
      // What ran when the build was stopped has no end of its own.
      const items = steps.map((step) =>
        step.state === 'running' && head.ended_at !== null ? { ...step, state: 'canceled' as const } : step,
      );
      return c.json({ items, ...toApiHead(head) }, 200);
    })
    .openapi(listRanges, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const items = await listPlatformRanges(db, { buildId: head.id, platform: c.req.valid('query').platform });
      return c.json({ items, ...toApiHead(head) }, 200);
    })
    .openapi(stream, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const last = c.req.header('last-event-id') ?? '';
      const afterLine = /^\d{1,9}$/.test(last) ? Number(last) : c.req.valid('query').after;
      return eventStream((sink) => followLog({ hub, reader }, { head, afterLine, sink }), deps);
    });
}

function toApiHead(head: LogHead): z.infer<typeof headSchema> {
  return { lines: head.log_lines, ended: head.ended_at !== null, removed: head.log_removed_at !== null };
}
