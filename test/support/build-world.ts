import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { zstdDecompressSync } from 'node:zlib';
import type { MockActivityEnvironment } from '@temporalio/testing';
import { vi } from 'vitest';
import {
  createBuildActivities,
  type BuildDeps,
  type BuildImageInput,
  type CloneSourceInput,
} from '../../activities/build.ts';
import type { BuildExecutor, BuildLease } from '../../activities/drivers/build-executor.ts';
import type { Buildkit } from '../../activities/drivers/buildkit.ts';
import type { Git } from '../../activities/drivers/git.ts';
import { ObjectMissing } from '../../activities/drivers/object-store.ts';
import type { Registries } from '../../activities/drivers/registries.ts';
import type { Database } from '../../db/database.ts';
import { parseLogSegment } from '../../domain/log-line.ts';
import { registryClient, scriptedRegistry } from './registry-client.ts';
import { runActivity } from './run-activity.ts';
import { storedLogins } from './source-logins.ts';
import { seedBuild, type SeededBuild } from './seed-build.ts';

export const context = Buffer.from('the context');
export const contextKey = `src/${createHash('sha256').update(context).digest('hex')}`;
export const commitTime = '2026-11-20T09:00:00.000Z';
export const password = 'hunter2-hunter2';

export interface BuildWorld {
  readonly build: SeededBuild;
  readonly objects: Map<string, Buffer>;
  readonly deps: BuildDeps;
  readonly imageBuild: ReturnType<typeof vi.fn<Buildkit['imageBuild']>>;
  readonly lease: ReturnType<typeof vi.fn<BuildExecutor['lease']>>;
  readonly release: ReturnType<typeof vi.fn<BuildLease['release']>>;
  readonly commitClone: ReturnType<typeof vi.fn<Git['commitClone']>>;
  readonly contextArchive: ReturnType<typeof vi.fn<Git['contextArchive']>>;
  readonly headBranch: ReturnType<typeof vi.fn<Git['headBranch']>>;
  readonly openSecret: ReturnType<typeof vi.fn<BuildDeps['openSecret']>>;
  readonly login: ReturnType<typeof vi.fn<Registries['login']>>;
  /** Holds what was "built". */
  readonly registry: Awaited<ReturnType<typeof scriptedRegistry>>;
  clone(environment?: MockActivityEnvironment): ReturnType<ReturnType<typeof createBuildActivities>['cloneSource']>;
  run(
    environment?: MockActivityEnvironment,
    change?: Partial<BuildImageInput>,
  ): ReturnType<ReturnType<typeof createBuildActivities>['buildImage']>;
  log(): Promise<readonly string[]>;
}

/** A build of one architecture, with git and BuildKit as the test wants them, a registry that holds what was "built", and a store in memory. */
export async function newBuildWorld(db: Database, workDir: string): Promise<BuildWorld> {
  const build = await seedBuild(db);
  const { repository, runId, buildId, source, rule } = build;
  const path = `${repository.namespace}/${repository.name}`;
  const registry = await scriptedRegistry();
  const config = registry.addBlob(path, Buffer.from('{"os":"linux","architecture":"amd64"}'));
  const layer = registry.addBlob(path, Buffer.from('layer'));
  const manifest = registry.addManifest(path, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }],
  });
  const objects = new Map<string, Buffer>([[contextKey, context]]);
  const imageBuild = vi.fn<Buildkit['imageBuild']>().mockResolvedValue({
    digest: manifest.digest,
    mediaType: manifest.mediaType,
    sizeBytes: manifest.size,
    steps: 4,
    cachedSteps: 3,
    baseImages: [{ name: 'docker.io/library/debian:12', digest: `sha256:${'b'.repeat(64)}` }],
  });
  const headBranch = vi.fn<Git['headBranch']>().mockResolvedValue('main');
  const openSecret = vi.fn<BuildDeps['openSecret']>().mockResolvedValue(JSON.stringify({ username: 'ada', password }));
  const login = vi.fn<Registries['login']>().mockResolvedValue({
    host: registry.host,
    username: 'slipway',
    password: 'login-token-1234',
    isInsecure: true,
  });
  const release = vi.fn<BuildLease['release']>().mockResolvedValue();
  const lease = vi.fn<BuildExecutor['lease']>(async () => ({ buildkit: { imageBuild }, release }));
  const commitClone = vi.fn<Git['commitClone']>().mockResolvedValue();
  const contextArchive = vi.fn<Git['contextArchive']>().mockImplementation(async ({ file }) => {
    await writeFile(file, context);
    return {
      sha256: contextKey.slice('src/'.length),
      sizeBytes: context.length,
      files: 2,
      commitTime,
      message: 'A change\n\nand why',
      author: 'Ada',
    };
  });
  const client = registryClient(registry.url);
  const deps: BuildDeps = {
    db,
    workDir,
    clock: () => new Date('2026-11-21T10:00:00.000Z'),
    git: { commitClone, contextArchive, headBranch },
    executor: { lease },
    openSecret,
    sourceLogins: storedLogins(openSecret),
    registries: {
      client: async () => client,
      login,
    },
    objectStore: {
      objectHead: async (key) =>
        objects.has(key) ? { sizeBytes: 1, modifiedAt: new Date('2026-11-21T09:00:00.000Z') } : undefined,
      objectGet: async (key) => {
        const bytes = objects.get(key);
        if (bytes === undefined) throw new ObjectMissing(key);
        return Readable.from([bytes]);
      },
      objectPut: async (key, body) => {
        const chunks: Uint8Array[] = [];
        if (body instanceof Readable) for await (const chunk of body) chunks.push(chunk);
        objects.set(key, body instanceof Readable ? Buffer.concat(chunks) : Buffer.from(body));
      },
    },
  };
  const activities = createBuildActivities(deps);
  const common = { runId, attempt: 1, buildId, repository, source };
  const cloneInput: CloneSourceInput = { ...common, contextDirectory: '/', dockerfile: 'Dockerfile' };
  const buildInput: BuildImageInput = {
    ...common,
    rule,
    platform: 'linux/amd64',
    buildRegion: repository.region,
    contextKey,
    commitTime,
    isCached: true,
    defaultBranch: 'main',
  };
  return {
    build,
    objects,
    deps,
    imageBuild,
    lease,
    release,
    commitClone,
    contextArchive,
    headBranch,
    openSecret,
    login,
    registry,
    clone: (environment) => runActivity(activities.cloneSource, cloneInput, environment),
    run: (environment, change = {}) =>
      runActivity((each: BuildImageInput) => activities.buildImage(each), { ...buildInput, ...change }, environment),
    log: async () => {
      const rows = await db
        .selectFrom('log_segment')
        .selectAll()
        .where('build_id', '=', buildId)
        .orderBy('first_line')
        .execute();
      return rows.flatMap((row) => {
        const content = zstdDecompressSync(objects.get(row.object_key) ?? Buffer.alloc(0)).toString();
        return parseLogSegment(content, row.first_line).map(({ stage, text }) => `${stage} ${text}`);
      });
    },
  };
}
