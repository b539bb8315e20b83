import { z } from '@hono/zod-openapi';
import { listBuildWorkers } from '../../db/repositories/build-worker.ts';
import { architectures } from '../../domain/build.ts';
import type { ApiDeps } from '../deps.ts';
import { json, newRoutes, route } from '../route.ts';
import { timeOf, timeSchema } from '../shapes.ts';

const workerSchema = z
  .object({
    id: z.string(),
    region: z.string(),
    platforms: z.array(z.enum(architectures)),
    slots: z.int().openapi({ description: 'Builds of one architecture it takes at once.' }),
    isolation: z.string().openapi({ description: 'How builds are kept apart: namespace or shared.' }),
    seenAt: timeSchema,
  })
  .openapi('BuildWorker');

const example = {
  items: [
    {
      id: '3f0c9a3e-6a55-4d52-9d3e-0d9a0f6f8f11',
      region: 'cn-hangzhou',
      platforms: ['linux/amd64', 'linux/arm64'],
      slots: 2,
      isolation: 'namespace',
      seenAt: '2026-11-21T12:00:00.000Z',
    },
  ],
};

const list = route(
  { action: 'cr:ListBuildWorker', resource: '*', example },
  {
    method: 'get',
    path: '/build-workers',
    summary: 'List the workers that build, by region; those seen lately',
    responses: { 200: json(z.object({ items: z.array(workerSchema) }), 'The workers.') },
  },
);

/** What can be built where, now (docs/product.md, sections 4 and 6). */
export function buildWorkerRoutes({ db, clock }: Pick<ApiDeps, 'db' | 'clock'>) {
  return newRoutes('build').openapi(list, async (c) => {
    const rows = await listBuildWorkers(db, { at: clock() });
    const items = rows.map(({ seen_at: seenAt, platforms, ...worker }) => ({
      ...worker,
      platforms: [...platforms],
      seenAt: timeOf(seenAt),
    }));
    return c.json({ items }, 200);
  });
}
