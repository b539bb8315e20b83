import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '../../domain/limits.ts';
import { newBuildWorld } from '../support/build-world.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const signal = new AbortController().signal;
let database: TestDatabase;
let workDir: string;

beforeAll(async () => {
  database = await createTestDatabase();
  workDir = await mkdtemp(join(tmpdir(), 'slipway-work-'));
});
afterAll(async () => {
  await database.close();
  await rm(workDir, { recursive: true });
});

test('an image with more layers than images may have fails its build, by the limit, before a tag can name it', async () => {
  const world = await newBuildWorld(database.db, workDir);
  const { namespace, name, instance } = world.build.repository;
  const path = `${namespace}/${name}`;
  const client = await world.deps.registries.client(instance, []);
  const { digest: usual } = await world.run();
  const stored = await client.manifestGet(path, usual, { signal });
  const manifest = JSON.parse(Buffer.from(stored.bytes).toString());
  const [layer] = manifest.layers;
  const layers = Array.from({ length: limits.buildImageLayers + 1 }, () => layer);
  const bytes = Buffer.from(JSON.stringify({ ...manifest, layers }));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await client.manifestPut(path, digest, { mediaType: stored.mediaType, bytes, signal });
  world.imageBuild.mockResolvedValue({
    ...{ digest, mediaType: stored.mediaType, sizeBytes: bytes.length },
    ...{ cachedSteps: 0, steps: 1, baseImages: [] },
  });

  await expect(world.run()).rejects.toMatchObject({
    type: 'build.too_many_layers',
    nonRetryable: true,
    details: [{ layers: 128, limit: 127, fault: 'user' }],
  });
  expect(world.release).toHaveBeenCalledTimes(2);
});
