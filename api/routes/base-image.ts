import { z } from '@hono/zod-openapi';
import { listBaseImages } from '../../db/repositories/base-image.ts';
import { getInstance } from '../../db/repositories/instance.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { json, newRoutes, route } from '../route.ts';
import { timeOf, timeOrNull, timeSchema } from '../shapes.ts';

const baseImageSchema = z
  .object({
    name: z.string().openapi({ description: 'What a Dockerfile names; builders find it here without asking outside.' }),
    repository: z.string().openapi({ description: 'Below the reserved namespace slipway-base.' }),
    tag: z.string(),
    instance: z.string(),
    digest: z.string(),
    architectures: z.array(z.object({ platform: z.string(), digest: z.string() })),
    source: z.string().nullable().openapi({ description: 'What it was made of, in its own words.' }),
    madeAt: timeSchema.nullable().openapi({ description: 'Its age: when what it is made of was published.' }),
    updatedAt: timeSchema.openapi({
      description: 'When this digest was first seen; rules that ask for it build then.',
    }),
  })
  .openapi('BaseImage');

const example = {
  name: 'docker.io/library/debian:bookworm-slim',
  repository: 'library/debian',
  tag: 'bookworm-slim',
  instance: 'hangzhou',
  digest: `sha256:${'3f'.repeat(32)}`,
  architectures: [
    { platform: 'linux/amd64', digest: `sha256:${'5a'.repeat(32)}` },
    { platform: 'linux/arm64', digest: `sha256:${'7c'.repeat(32)}` },
  ],
  source: 'Debian made by mmdebstrap from bookworm, bookworm-updates, bookworm-security',
  madeAt: '2026-11-20T20:12:44.000Z',
  updatedAt: '2026-11-21T03:00:12.000Z',
};

const list = route(
  { action: 'cr:ListBaseImage', resource: 'instance/*', example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/base-images',
    summary: 'List the hosted base images, which builds take without asking outside',
    request: { query: pageQuery.extend({ instance: z.string().optional() }) },
    responses: { 200: json(pageOf(baseImageSchema), 'Base images by name.') },
  },
);

type Row = Awaited<ReturnType<typeof listBaseImages>>[number];

/** Hosted base images (docs/product.md, section 7). */
export function baseImageRoutes({ db, cursors }: Pick<ApiDeps, 'db' | 'cursors'>) {
  return newRoutes('instance').openapi(list, async (c) => {
    const { instance, ...query } = c.req.valid('query');
    const instanceId = instance === undefined ? undefined : (await getInstance(db, instance)).id;
    const filters = ['base-images', instanceId];
    const rows = await listBaseImages(db, { instanceId }, cursors.read(query, filters));
    const cursorOf = (row: Row) => cursors.write({ key: row.name, id: row.id }, filters);
    return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiBaseImage, cursorOf }), 200);
  });
}

function toApiBaseImage(row: Row): z.infer<typeof baseImageSchema> {
  const { name, repository, tag, instance, digest, platforms, source, made_at, updated_at } = row;
  return {
    name,
    repository,
    tag,
    instance,
    digest,
    architectures: [...platforms],
    source,
    madeAt: timeOrNull(made_at),
    updatedAt: timeOf(updated_at),
  };
}
