import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  finishArchitecture,
  noteArchitectureFailure,
  setBuildDigest,
  setBuildStage,
  startArchitecture,
} from '../../db/repositories/build-progress.ts';
import { recordStep } from '../../db/repositories/record.ts';
import type { BuildStage } from '../../domain/log-line.ts';
import type { StepName, StepState } from '../../domain/record.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { seedBuild, type SeededBuild } from '../support/seed-build.ts';

let database: TestDatabase;
let build: SeededBuild;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  build = await seedBuild(database.db);
});

const at = new Date('2026-11-21T12:00:00Z');
const later = new Date('2026-11-21T13:00:00Z');
const platform = 'linux/amd64';
const image = { platform, digest: `sha256:${'a'.repeat(64)}`, mediaType: 'm', sizeBytes: 1 } as const;
const reason = { code: 'build.step_failed', params: { fault: 'user' }, text: 'A step failed.' };

const reach = (stage: BuildStage) => setBuildStage(database.db, { buildId: build.buildId, stage, at });
const startOne = () => startArchitecture(database.db, { buildId: build.buildId, platform, at });
const finishOne = () => finishArchitecture(database.db, { buildId: build.buildId, image, cachedSteps: 0, at });
const failOne = (endedAt: Date | null) =>
  noteArchitectureFailure(database.db, {
    ...{ buildId: build.buildId, platform, endedAt },
    reason: { ...reason, fault: 'user' },
  });

function endStep(name: StepName, state: StepState, when = at): Promise<void> {
  return recordStep(database.db, {
    ...{ runId: build.runId, attempt: 1, name, state, why: null, result: null, startedAt: at, at: when },
    reason: state === 'failed' ? reason : null,
  });
}

/** Status and stage of the build, and the status of its one architecture. */
async function states() {
  const { db } = database;
  const { buildId } = build;
  const row = await db.selectFrom('build').selectAll().where('id', '=', buildId).executeTakeFirstOrThrow();
  const part = await db.selectFrom('build_architecture').selectAll().where('build_id', '=', buildId).executeTakeFirst();
  return [row.status, row.stage, part?.status];
}

describe('a build', () => {
  test('is pending until a worker takes it, then goes through its stages to success, the digest before the tags', async () => {
    expect(await states()).toEqual(['pending', null, 'pending']);
    await reach('clone');
    expect(await states()).toEqual(['building', 'clone', 'pending']);
    await reach('prepare');
    await startOne();
    expect(await states()).toEqual(['building', 'prepare', 'building']);
    await reach('build');
    await finishOne();
    await endStep('build', 'success');
    expect(await states()).toEqual(['building', 'build', 'success']);
    await reach('index');
    await setBuildDigest(database.db, { buildId: build.buildId, digest: image.digest, isPartial: false });
    expect(await states()).toEqual(['building', 'push', 'success']);
    await endStep('push', 'success');
    expect(await states()).toEqual(['success', 'push', 'success']);
  });

  test('never goes back a stage, whatever a slower architecture reports', async () => {
    await reach('build');
    await reach('prepare');
    expect(await states()).toEqual(['building', 'build', 'pending']);
  });

  test('whose attempt failed and is tried again is still building', async () => {
    await reach('build');
    await startOne();
    await failOne(null);
    expect(await states()).toEqual(['building', 'build', 'building']);
    await startOne();
    await finishOne();
    expect(await states()).toEqual(['building', 'build', 'success']);
  });

  test.each([
    ['canceled while it waits', [], 'build', 'canceled', ['canceled', null, 'canceled']],
    ['canceled while it clones', ['clone'], 'build', 'canceled', ['canceled', 'clone', 'canceled']],
    ['canceled while it pushes', ['clone', 'build', 'index'], 'push', 'canceled', ['canceled', 'index', 'canceled']],
    ['whose clone failed', ['clone'], 'build', 'failed', ['failed', 'clone', 'failed']],
    ['whose push failed', ['clone', 'build', 'index'], 'push', 'failed', ['failed', 'index', 'failed']],
  ] as const)('%s ends so, with the architectures that had no end', async (_, stages, step, state, expected) => {
    for (const stage of stages) await reach(stage);
    await endStep(step, state);
    expect(await states()).toEqual(expected);
  });

  test('that fails keeps the code, and whose fault it is', async () => {
    await reach('build');
    await startOne();
    await failOne(at);
    await endStep('build', 'failed');
    const row = await database.db
      .selectFrom('build')
      .select(['status', 'reason', 'ended_at'])
      .where('id', '=', build.buildId)
      .executeTakeFirst();
    expect(row).toEqual({ status: 'failed', reason: { ...reason, fault: 'user' }, ended_at: at });
  });

  test.each(['success', 'failed', 'canceled'] as const)(
    'that ended as %s stays as it is, whatever comes late',
    async (end) => {
      await reach('build');
      await startOne();
      if (end === 'success') await finishOne();
      await endStep(end === 'success' ? 'push' : 'build', end);
      const ended = await states();
      expect(ended).toEqual([end, 'build', end]);
      await reach('index');
      await startOne();
      await finishOne();
      await failOne(null);
      await endStep('push', 'failed', later);
      await endStep('build', 'canceled', later);
      expect(await states()).toEqual(ended);
    },
  );
});
