import { z } from '@hono/zod-openapi';
import { listTags } from '../../db/repositories/push-read.ts';
import type { TagRow } from '../../db/repositories/push-read.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import { notFound } from '../../domain/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, newRoutes, route } from '../route.ts';
import { timeOf, timeSchema } from '../shapes.ts';

const tagSchema = z
  .object({
    tag: z.string(),
    state: z.enum(['tagged', 'held', 'blocked']).openapi({
      description: 'tagged: it points at the image; held: it waits for the verdict; blocked: denied, it never pointed.',
    }),
    digest: z.string(),
    previousDigest: z.string().nullable(),
    sizeBytes: z.int().nullable().openapi({ description: 'Of the manifests of all architectures.' }),
    platforms: z.array(z.string()),
    pushedAt: timeSchema,
    run: z.string().nullable().openapi({ description: 'Null for a build outside a chain.' }),
    scan: z
      .object({
        id: z.string(),
        status: z.enum(['waiting', 'scanning', 'retrying', 'complete', 'failed']),
        verdict: z.enum(['passed', 'denied', 'error']).nullable(),
      })
      .nullable(),
  })
  .openapi('Tag');

const example = {
  tag: 'latest',
  state: 'tagged',
  digest: 'sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945',
  previousDigest: null,
  sizeBytes: 1_480,
  platforms: ['linux/amd64', 'linux/arm64'],
  pushedAt: '2026-11-21T12:03:00.000Z',
  run: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
  scan: { id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c80', status: 'complete', verdict: 'passed' },
};
const resource = 'repository/{instance}/{namespace}/{repository}';

const list = route(
  { action: 'cr:ListRepositoryTag', resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/repositories/{id}/tags',
    summary: 'List the tags of a repository, held and blocked ones too',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(tagSchema), 'Tags, the newest first.') },
  },
);
const read = route(
  { action: 'cr:GetRepositoryTag', resource, example },
  {
    method: 'get',
    path: '/repositories/{id}/tags/{tag}',
    summary: 'Read a tag',
    request: { params: idParam.extend({ tag: z.string().min(1).max(255) }) },
    responses: { 200: json(tagSchema, 'What it points at; where it does not point yet, what waits for it.') },
  },
);

/** Tags and what they point at (docs/product.md, sections 4 and 9, "holdTag"). */
export function tagRoutes({ db, cursors }: Pick<ApiDeps, 'db' | 'cursors'>) {
  return newRoutes('tag')
    .openapi(list, async (c) => {
      const { id: repositoryId } = await getRepository(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['tags', repositoryId];
      const rows = await listTags(db, { repositoryId }, cursors.read(query, filters));
      const cursorOf = (row: TagRow) => cursors.write({ key: timeOf(row.at), id: `${row.run_id}/${row.tag}` }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiTag, cursorOf }), 200);
    })
    .openapi(read, async (c) => {
      const { id, tag } = c.req.valid('param');
      const { id: repositoryId } = await getRepository(db, id);
      const rows = await listTags(db, { repositoryId, tag }, { limit: 100, after: undefined });
      const row = rows.find(({ state }) => state === 'tagged') ?? rows[0];
      if (row === undefined) throw notFound('tag', tag);
      return c.json(toApiTag(row), 200);
    });
}

function toApiTag(row: TagRow): z.infer<typeof tagSchema> {
  const { scan_id: id, scan_status: status, scan_verdict: verdict } = row;
  return {
    tag: row.tag,
    state: row.state,
    digest: row.digest,
    previousDigest: row.previous_digest,
    sizeBytes: row.size_bytes,
    platforms: [...row.platforms],
    pushedAt: timeOf(row.at),
    run: row.run_number === 0 ? null : row.run_id,
    scan: id === null || status === null ? null : { id, status, verdict },
  };
}
