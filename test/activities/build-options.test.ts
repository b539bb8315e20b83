import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildRuleSchema } from '../../domain/build.ts';
import { insertSecret } from '../../db/repositories/secret.ts';
import { newBuildWorld, type BuildWorld } from '../support/build-world.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let workDir: string;
let world: BuildWorld;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'slipway-work-'));
  world = await newBuildWorld(database.db, workDir);
  return () => rm(workDir, { recursive: true, force: true });
});

function rule(fields: Readonly<Record<string, unknown>>) {
  return buildRuleSchema.parse({ ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'v1' }], ...fields });
}

function asked() {
  const [input] = world.imageBuild.mock.lastCall ?? [];
  if (input === undefined) throw new Error('nothing was built');
  return input;
}

function caches() {
  const { id } = world.build.repository;
  return database.db.selectFrom('build_cache').selectAll().where('repository_id', '=', id).orderBy('branch').execute();
}

/** Puts the cache where BuildKit would have, 1,000 bytes of it. */
function writeCache(tag: string) {
  const repository = `slipway-cache/${world.build.repository.id}`;
  const config = world.registry.addBlob(repository, Buffer.from('{"cache":true}'));
  const layer = world.registry.addBlob(repository, Buffer.alloc(1_000, tag));
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.buildkit.cacheconfig.v0', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }],
  };
  world.registry.addManifest(repository, manifest, tag);
}

describe('the remote cache', () => {
  test('of a branch that has none yet is written, and counts what it holds and how the steps fared', async () => {
    writeCache('2aeae6ff3a9f94f5-linux-amd64');
    const source = { ...world.build.source, ref: 'main' };
    await world.run(undefined, { source });
    const { id } = world.build.repository;
    const { cache, target } = asked();
    expect(cache?.imports).toEqual([]);
    expect(cache?.export).toMatch(new RegExp(`^${target.host}/slipway-cache/${id}:[0-9a-f]{16}-linux-amd64$`));
    const [, tag = ''] = /:([0-9a-f]{16}-linux-amd64)$/.exec(cache?.export ?? '') ?? [];
    writeCache(tag);
    await world.run();
    expect(await caches()).toEqual([
      {
        ...{ repository_id: id, branch: 'main', platform: 'linux/amd64', ref: `slipway-cache/${id}:${tag}` },
        ...{ size_bytes: expect.any(Number), hits: 3, misses: 1, last_used_at: expect.any(Date) },
      },
    ]);
    expect((await caches())[0]?.size_bytes).toBeGreaterThan(1_000);
  });

  test('is read from the branch, then from the default branch; a build of a tag reads only the latter and writes none', async () => {
    const { id } = world.build.repository;
    const insert = (branch: string) =>
      database.db
        .insertInto('build_cache')
        .values({
          ...{ repository_id: id, branch, platform: 'linux/amd64', ref: `slipway-cache/${id}:${branch}` },
          ...{ size_bytes: 1, hits: 0, misses: 0, last_used_at: new Date(0) },
        })
        .execute();
    await insert('trunk');
    await insert('main');
    const host = world.registry.host;
    await world.run(undefined, { defaultBranch: 'trunk' });
    expect(asked().cache?.imports).toEqual([`${host}/slipway-cache/${id}:main`, `${host}/slipway-cache/${id}:trunk`]);
    await world.run(undefined, {
      defaultBranch: 'trunk',
      source: { ...world.build.source, refType: 'tag', ref: 'v1' },
    });
    expect(asked().cache).toEqual({ imports: [`${host}/slipway-cache/${id}:trunk`], export: null });
    expect((await caches()).map(({ last_used_at: at }) => at.getTime() > 0)).toEqual([true, true]);
  });

  test('is neither read nor written without cache, and the login does not reach it then', async () => {
    await world.run(undefined, { isCached: false });
    expect(asked()).toMatchObject({ isCached: false, cache: null });
    const { namespace, name } = world.build.repository;
    expect(world.login.mock.lastCall?.[1]).toEqual([{ repository: `${namespace}/${name}`, actions: ['pull', 'push'] }]);
  });

  test('is in reach of the build’s login: this repository’s and no other', async () => {
    await world.run();
    const { id, namespace, name } = world.build.repository;
    expect(world.login.mock.lastCall?.[1]).toEqual([
      { repository: `${namespace}/${name}`, actions: ['pull', 'push'] },
      { repository: `slipway-cache/${id}`, actions: ['pull', 'push'] },
    ]);
  });
});

describe('build secrets', () => {
  async function addSecret(name: string): Promise<string> {
    const { repository, secretBox } = world.build;
    const owner = { ownerId: repository.namespaceId, kind: 'source', value: 'unused' } as const;
    const ref = await insertSecret(database.db, secretBox, owner);
    await database.db
      .insertInto('build_secret')
      .values({
        ...{ id: randomUUID(), namespace_id: repository.namespaceId, name },
        ...{ secret_ref: ref, updated_at: new Date() },
      })
      .execute();
    return ref;
  }

  test('stand in files only we can read while BuildKit works, are masked in the log, and are gone afterwards', async () => {
    const value = 'npm_4f9a-token-of-nobody';
    const ref = await addSecret('npm-token');
    world.openSecret.mockImplementation(async (each) => (each === ref ? value : 'other'));
    const usual = world.imageBuild.getMockImplementation();
    let file = '';
    world.imageBuild.mockImplementationOnce(async (input) => {
      const [secret] = input.secretFiles;
      file = secret?.file ?? '';
      expect(secret?.id).toBe('npm');
      expect(await readFile(file, 'utf8')).toBe(value);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const text = `got ${value} and ${Buffer.from(value).toString('base64')}`;
      input.onLines([{ time: '2026-11-21T10:00:00.000Z', stage: 'build', text, mark: null, progressOf: null }]);
      return (await usual?.(input)) ?? Promise.reject(new Error('no default'));
    });
    await world.run(undefined, { rule: rule({ secrets: [{ id: 'npm', secretRef: 'npm-token' }] }) });
    expect(await world.log()).toContain('build got *** and ***');
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(workDir)).toEqual([]);
  });

  test('that the namespace does not have end the build before it starts, named', async () => {
    const failure = world.run(undefined, { rule: rule({ secrets: [{ id: 'npm', secretRef: 'nobody' }] }) });
    await expect(failure).rejects.toMatchObject({
      type: 'build.secret_missing',
      nonRetryable: true,
      details: [{ secret: 'nobody', platform: 'linux/amd64', fault: 'user' }],
    });
    expect(world.imageBuild).not.toHaveBeenCalled();
    expect((await world.log()).at(-1)).toMatch(/^build ERROR: The namespace ".*" has no secret "nobody"/);
  });
});

test('the stage the rule names is the one that is built', async () => {
  await world.run(undefined, { rule: rule({ targetStage: 'test' }) });
  expect(asked().targetStage).toBe('test');
});

test('a build notes the base images it started from, with the digests they had', async () => {
  await world.run();
  const { buildId } = world.build;
  const rows = await database.db.selectFrom('build_base_image').selectAll().where('build_id', '=', buildId).execute();
  const digest = `sha256:${'b'.repeat(64)}`;
  expect(rows).toEqual([{ build_id: buildId, name: 'docker.io/library/debian:12', digest }]);
});
