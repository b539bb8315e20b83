import { z } from '@hono/zod-openapi';
import { getLogHead } from '../../db/repositories/log.ts';
import { architectures } from '../../domain/build.ts';
import { limits } from '../../domain/limits.ts';
import { buildStages } from '../../domain/log-line.ts';
import { takeLogLines } from '../build-log.ts';
import type { ApiDeps } from '../deps.ts';
import { eventStream } from '../event-stream.ts';
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
const pageSchema = z
  .object({
    items: z.array(lineSchema),
    lines: z.int().openapi({ description: 'How many lines the log has now.' }),
    ended: z.boolean().openapi({ description: 'Whether no line can come any more.' }),
  })
  .openapi('LogPage');

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

const exampleLine = {
  line: 121,
  time: '2026-11-21T12:00:03.120Z',
  stage: 'build',
  platform: 'linux/amd64',
  text: '#8 [2/4] RUN npm ci',
};
const example = { items: [exampleLine], lines: 340, ended: false };
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
      }),
    },
    responses: { 200: json(pageSchema, 'Lines after the first `offset` ones; with `platform` only its own.') },
  },
);
const readRaw = route(
  { ...meta, example: null },
  {
    method: 'get',
    path: '/builds/{id}/log/raw',
    summary: "Download a build's log as text",
    request: { params: idParam },
    responses: { 200: text, 206: { description: 'The bytes of the Range asked for.' } },
  },
);
const search = route(
  { ...meta, example },
  {
    method: 'get',
    path: '/builds/{id}/log/search',
    summary: 'Find lines by a text, upper and lower case alike',
    request: {
      params: idParam,
      query: z.strictObject({
        q: z.string().min(1).max(200),
        offset: lineNumber,
        limit: count({ fallback: searchHits, min: 1, max: limits.logPageLinesMax }),
        platform,
      }),
    },
    responses: { 200: json(pageSchema, 'Matching lines, in order.') },
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
        description: 'Events `{items}` with the last line as id, then `end`.',
        content: { 'text/event-stream': { schema: z.string() } },
      },
    },
  },
);

type BuildLogDeps = Pick<ApiDeps, 'db' | 'objectStore' | 'listener' | 'stopping'>;

/** The log of a build: paged, whole, searched, live (docs/product.md, section 7, "Log"). */
export function buildLogRoutes(deps: BuildLogDeps) {
  const { db } = deps;
  return newRoutes('build')
    .openapi(readPage, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const { offset, ...query } = c.req.valid('query');
      const range = { buildId: head.id, afterLine: offset, signal: c.req.raw.signal };
      const items = await takeLogLines(deps, { ...range, ...query });
      return c.json({ items, lines: head.log_lines, ended: head.ended_at !== null }, 200);
    })
    .openapi(readRaw, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const sizeBytes = head.log_bytes;
      const range = parseRange(c.req.header('range'), sizeBytes);
      const { start, end } = range ?? { start: 0, end: sizeBytes };
      const headers = {
        'content-type': 'text/plain; charset=utf-8',
        'content-disposition': `attachment; filename="build-${head.id}.log"`,
        'content-length': String(end - start),
        'accept-ranges': 'bytes',
        ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${sizeBytes}` }),
      };
      const body = rawLog(deps, { buildId: head.id, start, end, signal: c.req.raw.signal });
      return new Response(body, { status: range === undefined ? 200 : 206, headers });
    })
    .openapi(search, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const { q, offset, ...query } = c.req.valid('query');
      const needle = q.toLowerCase();
      const isWanted = (line: { text: string }) => line.text.toLowerCase().includes(needle);
      const range = { buildId: head.id, afterLine: offset, signal: c.req.raw.signal };
      const items = await takeLogLines(deps, { ...range, ...query, isWanted });
      return c.json({ items, lines: head.log_lines, ended: head.ended_at !== null }, 200);
    })
    .openapi(stream, async (c) => {
      const head = await getLogHead(db, c.req.valid('param').id);
      const last = c.req.header('last-event-id') ?? '';
      const afterLine = /^\d{1,9}$/.test(last) ? Number(last) : c.req.valid('query').after;
      return eventStream((sink) => followLog(deps, { head, afterLine, sink }), deps);
    });
}
