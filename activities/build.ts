import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Context } from '@temporalio/activity';
import type { Architecture, BuildRuleDefinition, PlatformImage } from '../domain/build.ts';
import { BuildFailed } from '../domain/build-error.ts';
import { imageLimitProblem } from '../domain/build-limits.ts';
import type { RepositoryRef } from '../domain/chain.ts';
import { parseManifest } from '../domain/image-manifest.ts';
import { limits } from '../domain/limits.ts';
import { beginAttempt, finishAttempt } from '../db/repositories/build-attempt.ts';
import type { BuildAttempt } from '../db/repositories/build-attempt.ts';
import { setBuildStage } from '../db/repositories/build-progress.ts';
import { noteBlobs } from '../db/repositories/push.ts';
import { noteCache, planCache, type CachePlan } from './build-cache.ts';
import { failAttempt, waitWith } from './build-failure.ts';
import { openActivityLog, withLog, type BuildLog } from './build-log.ts';
import {
  cloneSource,
  type CloneSourceInput,
  type ClonedSource,
  type SourceDeps,
  type SourceInput,
} from './build-source.ts';
import { openBuildSecrets, writeSecretFiles, type BuildSecret } from './build-secret.ts';
import type { BuildExecutor } from './drivers/build-executor.ts';
import type { BuiltImage, ImageBuildInput } from './drivers/buildkit.ts';
import type { ObjectStore } from './drivers/object-store.ts';
import type { Registries } from './drivers/registries.ts';
import { heartbeating } from './heartbeat.ts';
import { inWorkspace } from './workspace.ts';

export type { ClonedSource, CloneSourceInput } from './build-source.ts';
export { sweepWorkspaces } from './workspace.ts';

export interface BuildDeps extends SourceDeps {
  readonly objectStore: Pick<ObjectStore, 'objectPut' | 'objectGet' | 'objectHead'>;
  readonly executor: Pick<BuildExecutor, 'lease'>;
  readonly registries: Pick<Registries, 'client' | 'login'>;
  /** What build secrets hold. */
  readonly openSecret: (ref: string) => Promise<string>;
}

export interface BuildImageInput extends SourceInput {
  readonly rule: BuildRuleDefinition;
  readonly platform: Architecture;
  /** Whose workers build it. */
  readonly buildRegion: string;
  readonly contextKey: string;
  readonly commitTime: string;
  readonly isCached: boolean;
  /** Whose cache serves a branch that has none; null: not known. */
  readonly defaultBranch: string | null;
}

export type BuiltPlatformImage = PlatformImage & { readonly cachedSteps: number };

/** A login outlives the longest build by this much. */
const loginReserveSeconds = 300;
const buildLimits = { memoryBytes: limits.buildMemoryBytes, cpus: limits.buildCpus, processes: limits.buildProcesses };

/** Clones sources and builds images (docs/product.md, sections 6 and 7). Everything is addressed by digest, so all of it may run twice. */
export function createBuildActivities(deps: BuildDeps) {
  return {
    cloneSource: (input: CloneSourceInput): Promise<ClonedSource> => cloneSource(deps, input),

    /**
     * Builds one architecture and pushes it by digest. Permanent failures: the codes of `BuildErrorCode` that trying again cannot
     * mend, with file and line of the Dockerfile and whose fault it is.
     */
    async buildImage(input: BuildImageInput): Promise<BuiltPlatformImage> {
      const attempt = await startPlatform(deps, input);
      const opened = await openPlatform(deps, input).catch((error: unknown) => failUnopened(deps, attempt, error));
      const log = openActivityLog(deps, { ...input, secrets: opened.masked });
      const work = (signal: AbortSignal) =>
        buildPlatform(deps, input, { ...opened, attempt, log, signal }).catch((error: unknown) =>
          failAttempt(deps, attempt, { error, log, signal }),
        );
      return withLog(log, () => heartbeating(work, () => ({ platform: input.platform, line: log.lines })));
    },
  };
}

async function startPlatform({ db, clock }: BuildDeps, input: BuildImageInput): Promise<BuildAttempt> {
  const { runId, attempt, buildId, platform } = input;
  const at = clock();
  await setBuildStage(db, { buildId, stage: 'prepare', at });
  return beginAttempt(db, { runId, attempt, buildId, platform }, at);
}

/** What one attempt may use. */
interface OpenedPlatform {
  /** `namespace/repository`. */
  readonly path: string;
  readonly login: Awaited<ReturnType<Registries['login']>>;
  /** null: neither read nor written. */
  readonly cache: CachePlan | null;
  readonly buildSecrets: readonly BuildSecret[];
  /** What must show nowhere. */
  readonly masked: readonly string[];
}

interface PlatformWork extends OpenedPlatform {
  readonly attempt: BuildAttempt;
  readonly log: BuildLog;
  readonly signal: AbortSignal;
}

/** The login reaches the build's own repository and the caches of it, and nothing else. */
async function openPlatform(deps: BuildDeps, input: BuildImageInput): Promise<OpenedPlatform> {
  const { repository, rule } = input;
  const path = `${repository.namespace}/${repository.name}`;
  const buildSecrets = await openBuildSecrets(deps, input);
  const cache = input.isCached ? await planCache(deps, input) : null;
  const access = [path, ...(cache === null ? [] : [cache.repository])].map(
    (each) => ({ repository: each, actions: ['pull', 'push'] }) as const,
  );
  const ttlSeconds = rule.timeoutMinutes * 60 + loginReserveSeconds;
  const login = await deps.registries.login(repository.instance, access, ttlSeconds);
  return { path, login, cache, buildSecrets, masked: [login.password, ...buildSecrets.map(({ value }) => value)] };
}

/** Nothing was opened, so nothing has to be masked. */
async function failUnopened(deps: BuildDeps, attempt: BuildAttempt, error: unknown): Promise<never> {
  if (!(error instanceof BuildFailed)) return waitWith(deps, attempt, error);
  const log = openActivityLog(deps, { ...attempt, secrets: [] });
  const signal = Context.current().cancellationSignal;
  return withLog(log, () => failAttempt(deps, attempt, { error, log, signal }));
}

async function buildPlatform(deps: BuildDeps, input: BuildImageInput, work: PlatformWork): Promise<BuiltPlatformImage> {
  const { db, clock } = deps;
  const { repository, source, platform } = input;
  const { attempt, path, cache, log, signal } = work;
  log.say('prepare', `Building ${platform} of ${path} at ${source.commit}`);
  const built = await inWorkspace({ workDir: deps.workDir, name: 'build' }, async (folder) => {
    const contextArchive = join(folder, 'context.tar');
    await downloadContext(deps, { contextKey: input.contextKey, file: contextArchive, signal });
    return onLease(deps, input, { ...work, folder, contextArchive });
  });
  const { digest, mediaType, sizeBytes, steps, cachedSteps, baseImages } = built;
  const image = { platform, digest, mediaType, sizeBytes };
  await noteImageBlobs(deps, { repository, path, digest, signal });
  await noteCache(deps, input, { plan: cache, steps, cachedSteps, signal });
  const isOurs = await finishAttempt(db, attempt, { image, steps, cachedSteps, baseImages, at: clock() });
  if (!isOurs) {
    log.say(
      'build',
      'This worker did not answer for a while, and another took the build over: what it made is not used.',
    );
    throw new Error(`Attempt ${attempt.number} at ${platform} was overtaken by a newer one.`);
  }
  return { ...image, cachedSteps };
}

/** Builds on a daemon that is this build's alone for as long as it takes. */
async function onLease(
  deps: BuildDeps,
  input: BuildImageInput,
  {
    path,
    login,
    cache,
    buildSecrets,
    masked,
    log,
    signal,
    folder,
    contextArchive,
  }: PlatformWork & { readonly folder: string; readonly contextArchive: string },
): Promise<BuiltImage> {
  const { buildId, repository, rule, source, platform, isCached, commitTime, buildRegion: region } = input;
  const { namespaceId } = repository;
  const secretFiles = await writeSecretFiles(folder, buildSecrets);
  const lease = await deps.executor.lease({ namespaceId, buildId, region, limits: buildLimits, signal });
  try {
    await setBuildStage(deps.db, { buildId, stage: 'build', at: deps.clock() });
    return await lease.buildkit.imageBuild({
      contextArchive,
      dockerfile: rule.dockerfile,
      platform,
      args: rule.buildParameters,
      isCached,
      targetStage: rule.targetStage,
      secretFiles,
      cache: cache === null ? null : hostedCache(login.host, cache),
      target: { ...login, repository: path },
      revision: source.commit,
      commitTime,
      cacheNamespace: namespaceId,
      workDirectory: folder,
      secrets: masked,
      onLines: (lines) => log.write(lines),
      signal,
      timeoutMs: rule.timeoutMinutes * 60_000,
    });
  } finally {
    await lease.release();
  }
}

function hostedCache(host: string, { imports, export: written }: CachePlan): ImageBuildInput['cache'] {
  return {
    imports: imports.map((ref) => `${host}/${ref}`),
    export: written === null ? null : `${host}/${written.ref}`,
  };
}

/** Whatever comes is checked against the digest in the key. */
async function downloadContext(
  { objectStore }: BuildDeps,
  { contextKey, file, signal }: { contextKey: string; file: string; signal: AbortSignal },
): Promise<void> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(await objectStore.objectGet(contextKey, { signal }), hashing, createWriteStream(file), { signal });
  const digest = hash.digest('hex');
  if (contextKey !== `src/${digest}`) throw new Error(`The object ${contextKey} holds other bytes: ${digest}.`);
}

/** Replication mounts blobs from where they are known to be. No tag names the image yet: one that is too large is never seen. */
async function noteImageBlobs(
  { db, registries }: BuildDeps,
  {
    repository,
    path,
    digest,
    signal,
  }: { repository: RepositoryRef; path: string; digest: string; signal: AbortSignal },
): Promise<void> {
  const client = await registries.client(repository.instance, [{ repository: path, actions: ['pull'] }]);
  const manifest = parseManifest(await client.manifestGet(path, digest, { signal }));
  const problem = imageLimitProblem(manifest);
  if (problem !== undefined) throw new BuildFailed(problem);
  const blobs = manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : [];
  const digests = [...new Set(blobs.map((blob) => blob.digest))];
  await noteBlobs(db, { instanceId: repository.instanceId, path, digests });
}
