import { afterAll, beforeAll, expect, it } from 'vitest';
import { recordBaseImages } from '../../db/repositories/base-image.ts';
import { createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { createInstance } from '../support/api-world.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
  for (const name of ['hangzhou', 'singapore']) {
    await createInstance(api, name);
    const instanceId = textAt(await api.call('GET', `/v1/instances/${name}`), 'id');
    const place = { instanceId, repository: 'library/debian' };
    const images = ['bookworm', 'bookworm-slim'].map((tag) => ({
      ...place,
      tag,
      name: `docker.io/library/debian:${tag}`,
      digest: `sha256:${'a'.repeat(64)}`,
      platforms: [{ platform: 'linux/amd64', digest: `sha256:${'b'.repeat(64)}` }],
      madeAt: '2026-11-20T20:12:44Z',
      source: 'Debian made by mmdebstrap',
    }));
    await recordBaseImages(api.deps.db, { place, images, at: new Date('2026-11-21T03:00:00Z') });
  }
});
afterAll(() => api.close());

it('lists the hosted base images of every instance by name, page by page', async () => {
  const first = await api.call('GET', '/v1/base-images?limit=3');
  expect(first.status).toBe(200);
  const second = await api.call('GET', `/v1/base-images?limit=3&cursor=${textAt(first, 'nextCursor')}`);
  const names = [first, second].flatMap(({ body }) => namesOf(body));
  expect(names).toEqual([
    'docker.io/library/debian:bookworm',
    'docker.io/library/debian:bookworm',
    'docker.io/library/debian:bookworm-slim',
    'docker.io/library/debian:bookworm-slim',
  ]);
});

it('lists those of one instance, each with its architectures, age and origin', async () => {
  const { body } = await api.call('GET', '/v1/base-images?instance=singapore');
  expect(body).toMatchObject({
    items: [
      {
        name: 'docker.io/library/debian:bookworm',
        instance: 'singapore',
        repository: 'library/debian',
        tag: 'bookworm',
        digest: `sha256:${'a'.repeat(64)}`,
        architectures: [{ platform: 'linux/amd64', digest: `sha256:${'b'.repeat(64)}` }],
        source: 'Debian made by mmdebstrap',
        madeAt: '2026-11-20T20:12:44.000Z',
        updatedAt: '2026-11-21T03:00:00.000Z',
      },
      { tag: 'bookworm-slim' },
    ],
    nextCursor: null,
  });
});

it('knows no base images of an instance that does not exist', async () => {
  expect(await api.call('GET', '/v1/base-images?instance=none')).toMatchObject({
    status: 404,
    body: { code: 'instance.not_found' },
  });
});

function namesOf(body: unknown): unknown[] {
  const { items } = Object(body);
  return items.map(({ name }: { name: unknown }) => name);
}
