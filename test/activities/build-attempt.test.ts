import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BuiltImage } from '../../activities/drivers/buildkit.ts';
import { BuildFailed } from '../../domain/build-error.ts';
import { newBuildWorld, type BuildWorld } from '../support/build-world.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let workDir: string;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'slipway-work-'));
  return () => rm(workDir, { recursive: true, force: true });
});

/** A build whose first worker is frozen in BuildKit while a second one builds it to its end. */
async function takenOver() {
  const world = await newBuildWorld(database.db, workDir);
  const { promise: thawed, resolve: thaw, reject: thawFailing } = Promise.withResolvers<BuiltImage>();
  const { promise: frozen, resolve: freeze } = Promise.withResolvers<undefined>();
  const usual = world.imageBuild.getMockImplementation();
  world.imageBuild.mockImplementationOnce(() => {
    freeze(undefined);
    return thawed;
  });
  const first = world.run();
  await frozen;
  const second = await world.run(new MockActivityEnvironment({ attempt: 2 }));
  const [input] = world.imageBuild.mock.calls[0] ?? [];
  if (input === undefined || usual === undefined) throw new Error('nothing was built');
  const image = await usual(input);
  return { world, first, second, image, thaw, thawFailing };
}

/** What the Record and the build say. */
async function written({ build: { runId, buildId } }: BuildWorld) {
  const { db } = database;
  return {
    child: await db.selectFrom('run_step_child').selectAll().where('run_id', '=', runId).execute(),
    architecture: await db.selectFrom('build_architecture').selectAll().where('build_id', '=', buildId).execute(),
    baseImages: await db.selectFrom('build_base_image').selectAll().where('build_id', '=', buildId).execute(),
    events: await db.selectFrom('run_event').select('type').where('run_id', '=', runId).execute(),
  };
}

describe('a worker that goes on after another took its build over', () => {
  test('has no say any more: the image it made is told nowhere, and its log says why', async () => {
    const { world, first, second, image, thaw } = await takenOver();
    const before = await written(world);
    expect(before.architecture).toMatchObject([{ status: 'success', attempts: 2, digest: second.digest }]);

    const base = { name: 'docker.io/library/debian:12', digest: `sha256:${'c'.repeat(64)}` };
    thaw({ ...image, cachedSteps: 0, baseImages: [base] });
    await expect(first).rejects.toThrow('Attempt 1 at linux/amd64 was overtaken by a newer one.');
    expect(await written(world)).toEqual(before);
    expect((await world.log()).at(-1)).toBe(
      'build This worker did not answer for a while, and another took the build over: what it made is not used.',
    );
  });

  test('fails to no effect, even for good', async () => {
    const { world, first, thawFailing } = await takenOver();
    const before = await written(world);
    const text = 'A step at Dockerfile:3 ended with exit code 2.';
    thawFailing(new BuildFailed({ code: 'build.step_failed', fault: 'user', isPermanent: true, params: {}, text }));
    await expect(first).rejects.toThrow(text);
    expect(await written(world)).toEqual(before);
  });
});
