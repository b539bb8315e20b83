import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApplicationFailure } from '@temporalio/activity';
import type { Architecture, BuildRuleDefinition, PlatformImage } from '../domain/build.ts';
import { BuildFailed } from '../domain/build-error.ts';
import { imageLimitProblem } from '../domain/build-limits.ts';
import type { RepositoryRef } from '../domain/chain.ts';
import { parseManifest } from '../domain/image-manifest.ts';
import { limits } from '../domain/limits.ts';
import {
  finishArchitecture,
  noteArchitectureFailure,
  setBuildStage,
  startArchitecture,
} from '../db/repositories/build-progress.ts';
import { noteBlobs } from '../db/repositories/push.ts';
import { recordChild } from '../db/repositories/record.ts';
import type { BuildReason } from '../db/tables/build.ts';
import { openActivityLog, withLog, type BuildLog } from './build-log.ts';
import {
  cloneSource,
  type CloneSourceInput,
  type ClonedSource,
  type SourceDeps,
  type SourceInput,
} from './build-source.ts';
import type { BuildExecutor } from './drivers/build-executor.ts';
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
}

export interface BuildImageInput extends SourceInput {
  readonly rule: BuildRuleDefinition;
  readonly platform: Architecture;
  readonly contextKey: string;
  readonly commitTime: string;
  readonly isCached: boolean;
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
      await startPlatform(deps, input);
      const { repository, rule } = input;
      const path = `${repository.namespace}/${repository.name}`;
      const ttlSeconds = rule.timeoutMinutes * 60 + loginReserveSeconds;
      const login = await deps.registries
        .login(repository.instance, [{ repository: path, actions: ['pull', 'push'] }], ttlSeconds)
        .catch((error: unknown) => waitWith(deps, input, error));
      const secrets = [login.password];
      const log = openActivityLog(deps, { ...input, secrets });
      const work = (signal: AbortSignal) =>
        buildPlatform(deps, input, { path, login, secrets, log, signal }).catch((error: unknown) =>
          platformFailure(deps, input, { error, log, signal }),
        );
      return withLog(log, () => heartbeating(work, () => ({ platform: input.platform, line: log.lines })));
    },
  };
}

async function startPlatform({ db, clock }: BuildDeps, input: BuildImageInput): Promise<void> {
  const { buildId, platform } = input;
  const at = clock();
  await setBuildStage(db, { buildId, stage: 'prepare', at });
  await startArchitecture(db, { buildId, platform, at });
  await recordChild(db, { ...childOf(input), state: 'running', reason: null, result: null, at });
}

function childOf({ runId, attempt, platform }: BuildImageInput) {
  return { runId, attempt, step: 'build', key: platform } as const;
}

async function buildPlatform(
  deps: BuildDeps,
  input: BuildImageInput,
  {
    path,
    login,
    secrets,
    log,
    signal,
  }: {
    path: string;
    login: Awaited<ReturnType<Registries['login']>>;
    secrets: readonly string[];
    log: BuildLog;
    signal: AbortSignal;
  },
): Promise<BuiltPlatformImage> {
  const { db, clock } = deps;
  const { buildId, repository, rule, source, platform } = input;
  log.say('prepare', `Building ${platform} of ${path} at ${source.commit}`);
  const built = await inWorkspace({ workDir: deps.workDir, name: 'build' }, async (folder) => {
    const contextArchive = join(folder, 'context.tar');
    await downloadContext(deps, { contextKey: input.contextKey, file: contextArchive, signal });
    const { namespaceId, region } = repository;
    const lease = await deps.executor.lease({ namespaceId, buildId, region, limits: buildLimits, signal });
    try {
      await setBuildStage(db, { buildId, stage: 'build', at: clock() });
      return await lease.buildkit.imageBuild({
        contextArchive,
        dockerfile: rule.dockerfile,
        platform,
        args: rule.buildParameters,
        isCached: input.isCached,
        target: { ...login, repository: path },
        revision: source.commit,
        commitTime: input.commitTime,
        cacheNamespace: namespaceId,
        workDirectory: folder,
        secrets,
        onLines: (lines) => log.write(lines),
        signal,
        timeoutMs: rule.timeoutMinutes * 60_000,
      });
    } finally {
      await lease.release();
    }
  });
  const { cachedSteps, ...pushed } = built;
  await noteImageBlobs(deps, { repository, path, digest: pushed.digest, signal });
  const at = clock();
  const { digest, sizeBytes } = pushed;
  await finishArchitecture(db, { buildId, image: { platform, ...pushed }, cachedSteps, at });
  await recordChild(db, {
    ...childOf(input),
    state: 'success',
    reason: null,
    result: { digest, sizeBytes, cachedSteps },
    at,
  });
  return { platform, ...pushed, cachedSteps };
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

/** Says in log and on the Record why an attempt ended, and throws what Temporal goes by. A cancellation is the workflow's to record. */
async function platformFailure(
  deps: BuildDeps,
  input: BuildImageInput,
  { error, log, signal }: { error: unknown; log: BuildLog; signal: AbortSignal },
): Promise<never> {
  if (signal.aborted) {
    log.say('build', 'Stopped.');
    throw error;
  }
  if (!(error instanceof BuildFailed)) return waitWith(deps, input, error);
  const { code, fault, isPermanent, params, text } = error.problem;
  log.say('build', `ERROR: ${text}`);
  const details = { ...params, platform: input.platform, fault };
  const reason: BuildReason = { code, params: details, text, fault };
  await noteFailure(deps, input, { reason, isPermanent });
  if (isPermanent) throw ApplicationFailure.nonRetryable(text, code, details);
  throw ApplicationFailure.create({ message: text, type: code, details: [details] });
}

/** Says on the Record why the build waits, and throws what is tried again. */
async function waitWith(deps: BuildDeps, input: BuildImageInput, error: unknown): Promise<never> {
  const text = error instanceof Error ? error.message : String(error);
  const reason: BuildReason = {
    code: 'build.interrupted',
    params: { platform: input.platform, fault: 'system' },
    text: `Waiting to try again: ${text}`,
    fault: 'system',
  };
  // What stopped the build may well be the database: its own error says more than ours.
  await noteFailure(deps, input, { reason, isPermanent: false }).catch(() => undefined);
  throw error;
}

async function noteFailure(
  { db, clock }: BuildDeps,
  input: BuildImageInput,
  { reason, isPermanent }: { reason: BuildReason; isPermanent: boolean },
): Promise<void> {
  const { buildId, platform } = input;
  const at = clock();
  const { fault: _fault, ...childReason } = reason;
  await noteArchitectureFailure(db, { buildId, platform, reason, endedAt: isPermanent ? at : null });
  const state = isPermanent ? 'failed' : 'running';
  await recordChild(db, { ...childOf(input), state, reason: childReason, result: null, at });
}
