import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sweepWorkspaces } from '../../activities/build.ts';
import type { ImageBuildInput } from '../../activities/drivers/buildkit.ts';
import { BuildFailed } from '../../domain/build-error.ts';
import { SourceError } from '../../domain/source-error.ts';
import { insertSecret } from '../../db/repositories/secret.ts';
import { commitTime, context, contextKey, newBuildWorld, password, type BuildWorld } from '../support/build-world.ts';
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

function child({ build: { runId } }: BuildWorld) {
  return database.db
    .selectFrom('run_step_child')
    .select(['key', 'state', 'reason', 'result'])
    .where('run_id', '=', runId)
    .executeTakeFirst();
}

function architecture({ build: { buildId } }: BuildWorld) {
  return database.db.selectFrom('build_architecture').selectAll().where('build_id', '=', buildId).executeTakeFirst();
}

function buildRow({ build: { buildId } }: BuildWorld) {
  return database.db.selectFrom('build').selectAll().where('id', '=', buildId).executeTakeFirstOrThrow();
}

function secondAttempt(): MockActivityEnvironment {
  return new MockActivityEnvironment({ attempt: 2 });
}

const stepFailed = new BuildFailed({
  code: 'build.step_failed',
  fault: 'user',
  isPermanent: true,
  params: { file: 'Dockerfile', line: 3, exitCode: 2 },
  text: 'A step at Dockerfile:3 ended with exit code 2. Its last lines in the log say why.',
});
const unreachable = new BuildFailed({
  code: 'build.builder_unreachable',
  fault: 'system',
  isPermanent: false,
  params: {},
  text: 'The builder was not reached. Slipway tries again by itself.',
});

describe('cloning the source', () => {
  test('the context is stored under its digest, the build shows its stage, and the log says what was done', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.objects.clear();
    const { commit } = world.build.source;
    expect(await world.clone()).toEqual({
      contextKey,
      sha256: contextKey.slice('src/'.length),
      sizeBytes: context.length,
      commitTime,
      defaultBranch: 'main',
    });
    expect(world.objects.get(contextKey)).toEqual(context);
    expect(await buildRow(world)).toMatchObject({ status: 'building', stage: 'clone', started_at: expect.any(Date) });
    expect(await world.log()).toEqual([
      `clone Cloning https://code.example.com/acme/app.git, branch main, commit ${commit}`,
      'clone Build context "/": 2 files, 0.0 MB',
    ]);
    expect(await readdir(workDir)).toEqual([]);
  });

  test('the login of the source account is opened for the attempt and shown nowhere', async () => {
    const world = await newBuildWorld(database.db, workDir);
    const { repository, secretBox } = world.build;
    const value = JSON.stringify({ username: 'ada', password });
    const ref = await insertSecret(database.db, secretBox, { ownerId: repository.instanceId, kind: 'source', value });
    await database.db
      .updateTable('source_account')
      .set({ credential_ref: ref })
      .where('instance_id', '=', repository.instanceId)
      .execute();
    world.commitClone.mockRejectedValue(
      new SourceError('source.not_authorized', `Refused for ada:${password}.`, { params: { url: 'https://x' } }),
    );
    await expect(world.clone()).rejects.toMatchObject({ type: 'source.not_authorized', nonRetryable: true });
    expect(world.commitClone.mock.calls[0]?.[0].credential).toEqual({ username: 'ada', password });
    expect((await world.log()).join('\n')).not.toContain(password);
  });

  test('what the user must mend ends the step with its code, parameters and whose fault it is', async () => {
    const world = await newBuildWorld(database.db, workDir);
    const text = 'The commit has no file "Dockerfile".';
    world.contextArchive.mockRejectedValue(
      new SourceError('build.dockerfile_missing', text, { params: { path: 'Dockerfile' } }),
    );
    await expect(world.clone()).rejects.toMatchObject({
      type: 'build.dockerfile_missing',
      nonRetryable: true,
      message: text,
      details: [{ path: 'Dockerfile', fault: 'user' }],
    });
    expect((await world.log()).at(-1)).toBe(`clone ERROR: ${text}`);
    expect(await readdir(workDir)).toEqual([]);
  });

  test('a source host that is away is asked again, and the next attempt goes on in the same log', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.commitClone.mockRejectedValueOnce(new SourceError('source.not_reachable', 'The source host is away.'));
    await expect(world.clone()).rejects.toMatchObject({ type: 'source.not_reachable', nonRetryable: false });
    await world.clone(secondAttempt());
    expect((await world.log()).slice(1, 3)).toEqual([
      'clone ERROR: The source host is away.',
      'clone Attempt 2: the one before did not end well.',
    ]);
  });

  test('a repository that lost its code source is told as such', async () => {
    const world = await newBuildWorld(database.db, workDir);
    await database.db.deleteFrom('source_binding').where('repository_id', '=', world.build.repository.id).execute();
    await expect(world.clone()).rejects.toMatchObject({ type: 'source.not_bound', nonRetryable: true });
  });
});

describe('the default branch of the source', () => {
  test('is asked of the host, kept, and not asked again within the hour', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.headBranch.mockResolvedValue('trunk');
    expect(await world.clone()).toMatchObject({ defaultBranch: 'trunk' });
    expect(await world.clone()).toMatchObject({ defaultBranch: 'trunk' });
    expect(world.headBranch).toHaveBeenCalledTimes(1);
  });

  test('not told by the host is no failure', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.headBranch.mockRejectedValue(new SourceError('source.not_reachable', 'The source host is away.'));
    expect(await world.clone()).toMatchObject({ contextKey, defaultBranch: null });
  });
});

describe('building one architecture', () => {
  test('the image is pushed by digest, with its rows, its child on the Record, its blobs and its log', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.imageBuild.mockImplementationOnce(async (input: ImageBuildInput) => {
      expect(await readFile(input.contextArchive)).toEqual(context);
      input.onLines([
        { time: commitTime, stage: 'build', text: '#1 RUN make login-token-1234', mark: null, progressOf: null },
      ]);
      return (await world.imageBuild.getMockImplementation()?.(input)) ?? Promise.reject(new Error('no default'));
    });
    const built = await world.run();
    expect(built).toMatchObject({ platform: 'linux/amd64', cachedSteps: 3 });
    expect(await architecture(world)).toMatchObject({
      status: 'success',
      digest: built.digest,
      size_bytes: built.sizeBytes,
      cached_steps: 3,
      attempts: 1,
    });
    expect(await child(world)).toEqual({
      key: 'linux/amd64',
      state: 'success',
      reason: null,
      result: { digest: built.digest, sizeBytes: built.sizeBytes, steps: 4, cachedSteps: 3 },
    });
    const { repository } = world.build;
    const blobs = await database.db
      .selectFrom('blob_place')
      .selectAll()
      .where('path', '=', `${repository.namespace}/${repository.name}`)
      .execute();
    expect(blobs).toHaveLength(2);
    expect((await world.log()).at(-1)).toBe('build #1 RUN make ***');
    expect(await readdir(workDir)).toEqual([]);
  });

  test('the daemon is one of the region that builds, whose hosted base images answer, not of the image’s own', async () => {
    const world = await newBuildWorld(database.db, workDir);
    const { repository, buildId } = world.build;
    await world.run(undefined, { buildRegion: 'us-east-1' });
    expect(world.lease.mock.calls[0]?.[0]).toMatchObject({
      namespaceId: repository.namespaceId,
      buildId,
      region: 'us-east-1',
    });
  });

  test('BuildKit is told the commit, its time, the namespace of the caches, the rule’s parameters and its time limit', async () => {
    const world = await newBuildWorld(database.db, workDir);
    await world.run();
    expect(world.imageBuild.mock.calls[0]?.[0]).toMatchObject({
      revision: world.build.source.commit,
      commitTime,
      cacheNamespace: world.build.repository.namespaceId,
      args: [],
      isCached: true,
      dockerfile: 'Dockerfile',
      timeoutMs: 60 * 60_000,
      target: { repository: `${world.build.repository.namespace}/app`, username: 'slipway' },
    });
  });

  test('a failure of the user’s ends the build with its line and is not tried again', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.imageBuild.mockRejectedValue(stepFailed);
    await expect(world.run()).rejects.toMatchObject({
      type: 'build.step_failed',
      nonRetryable: true,
      message: stepFailed.message,
      details: [{ file: 'Dockerfile', line: 3, exitCode: 2, platform: 'linux/amd64', fault: 'user' }],
    });
    expect(await child(world)).toMatchObject({
      state: 'failed',
      reason: { code: 'build.step_failed', params: { line: 3 } },
    });
    expect(await architecture(world)).toMatchObject({ status: 'failed', reason: { fault: 'user' } });
    expect((await world.log()).at(-1)).toBe(`build ERROR: ${stepFailed.message}`);
  });

  test('a failure of the system’s shows why the build waits and is tried again', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.imageBuild.mockRejectedValueOnce(unreachable);
    await expect(world.run()).rejects.toMatchObject({ type: 'build.builder_unreachable', nonRetryable: false });
    expect(await child(world)).toMatchObject({ state: 'running', reason: { code: 'build.builder_unreachable' } });
    await world.run(secondAttempt());
    expect(await architecture(world)).toMatchObject({ status: 'success', attempts: 2, reason: null });
    expect(await child(world)).toMatchObject({ state: 'success', reason: null });
    expect(await world.log()).toContain('prepare Attempt 2: the one before did not end well.');
  });

  test('a context whose bytes are not those of its name is not built', async () => {
    const world = await newBuildWorld(database.db, workDir);
    world.objects.set(contextKey, Buffer.from('somebody else’s'));
    await expect(world.run()).rejects.toThrow(/holds other bytes/);
    expect(world.imageBuild).not.toHaveBeenCalled();
    expect(await child(world)).toMatchObject({ state: 'running', reason: { code: 'build.interrupted' } });
  });

  test('canceled, it ends as canceled, leaves no file, and lets the workflow say so on the Record', async () => {
    const world = await newBuildWorld(database.db, workDir);
    const environment = new MockActivityEnvironment();
    world.imageBuild.mockImplementation(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
          environment.cancel('CANCELLED');
        }),
    );
    await expect(world.run(environment)).rejects.toThrow(CancelledFailure);
    expect(await child(world)).toMatchObject({ state: 'running', reason: null });
    expect((await world.log()).at(-1)).toBe('build Stopped.');
    expect(await readdir(workDir)).toEqual([]);
  });

  test('it beats while BuildKit is silent, saying how far it is', async () => {
    const world = await newBuildWorld(database.db, workDir);
    const environment = new MockActivityEnvironment();
    const beaten = new Promise((resolve) => environment.on('heartbeat', resolve));
    const usual = world.imageBuild.getMockImplementation();
    world.imageBuild.mockImplementation(async (input) => {
      await beaten;
      return (await usual?.(input)) ?? Promise.reject(new Error('no default'));
    });
    await world.run(environment);
    expect(await beaten).toEqual({ platform: 'linux/amd64', line: 1 });
  });
});

test('what killed workers left is swept at start, what others still work in is not', async () => {
  const gone = 2 ** 22 - 1;
  for (const name of [`build-${gone}-abc`, `clone-${process.pid}-abc`, `build-${process.ppid}-abc`, 'scan-xyz']) {
    await mkdir(join(workDir, name));
  }
  await sweepWorkspaces(workDir);
  expect(await readdir(workDir)).toEqual([`build-${process.ppid}-abc`]);
});
