import type { DatabaseTransaction } from '../db/database.ts';
import { getBuildForRebuild } from '../db/repositories/build.ts';
import type { RebuildSource } from '../db/repositories/build.ts';
import { takeArchitectures } from '../db/repositories/build-progress.ts';
import { findLiveRun, insertRun, outsideChain } from '../db/repositories/run-start.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import { refuseFullQueue } from '../db/repositories/source-run.ts';
import { advanceSourceRef, lockSourceRef } from '../db/repositories/source-ref.ts';
import type { BuildArchitectureRow } from '../db/tables/build.ts';
import type { PlatformImage } from '../domain/build.ts';
import { AppError, conflict } from '../domain/errors.ts';
import { workflowIds } from '../domain/run-id.ts';
import type { ApiDeps } from './deps.ts';
import type { StartBuildDeps } from './start-build.ts';

/** A request may wait this long for the registry to say what it has. */
const headMs = 10_000;

type RebuildDeps = Pick<StartBuildDeps, 'db' | 'starter' | 'clock' | 'config'> & Pick<ApiDeps, 'registries'>;

/** `failed` builds only what has no image yet, and takes the other architectures over by their digests. */
export type RebuildScope = 'all' | 'failed';

/**
 * Builds a build's commit again by the same rule, policy and times, under a new order number: a rollback wins
 * (docs/product.md, section 7, "Started by"). The same rule, ref and commit already live: that run. Errors: 404
 * `build.not_found`, 409 `build.not_finished`, 429 `build.queue_full`; of the failed architectures also 409 `build.nothing_failed`,
 * `build.image_gone` and 503 `registry.not_reachable`.
 */
export async function rebuild(
  deps: RebuildDeps,
  { buildId, actor, architectures }: { buildId: string; actor: string; architectures: RebuildScope },
) {
  const reuse = architectures === 'failed' ? await findReusable(deps, buildId) : [];
  const run = await deps.db.transaction().execute(async (trx) => {
    const earlier = await getBuildForRebuild(trx, buildId);
    const { origin } = earlier.input;
    if (origin.kind !== 'source') throw new Error(`the run of build ${buildId} has no source`);
    await lockSourceRef(trx, { repositoryId: earlier.repositoryId, ...origin.source });
    const live = await findLiveRun(trx, { ruleId: origin.rule.id, ...origin.source });
    if (live !== undefined && live.build_id !== buildId) return live;
    if (!earlier.isEnded) {
      throw conflict('build.not_finished', 'The build is still going on. Wait for its end, or cancel it first.');
    }
    await refuseFullQueue(trx, {
      repository: earlier.input.repository,
      limit: deps.config.SLIPWAY_WAITING_BUILDS,
    });
    return insertRebuild(trx, { deps, earlier, actor, reuse });
  });
  void deps.starter.start(run);
  return run;
}

/** The images of an ended build that need not be built again; every one is asked for at its registry. */
async function findReusable({ db, registries }: RebuildDeps, buildId: string): Promise<readonly PlatformImage[]> {
  const { architectures, isEnded, input } = await getBuildForRebuild(db, buildId);
  // The transaction says so, unless the same commit is being built again already.
  if (!isEnded) return [];
  const images = architectures.flatMap(imageOf);
  if (images.length === architectures.length) {
    throw conflict(
      'build.nothing_failed',
      'Every architecture of the build has its image, so there is none to repeat. Build all of them again, or push a new commit.',
    );
  }
  const { instanceId, namespace, name } = input.repository;
  const path = `${namespace}/${name}`;
  const gone = await askRegistry(async () => {
    const signal = AbortSignal.timeout(headMs);
    const client = await registries.client(instanceId, [{ repository: path, actions: ['pull'] }]);
    const heads = await Promise.all(images.map(({ digest }) => client.manifestHead(path, digest, { signal })));
    return images.find((_, index) => heads[index] === undefined);
  });
  if (gone === undefined) return images;
  throw conflict(
    'build.image_gone',
    `The image the build made for ${gone.platform} is no longer in the registry, so it cannot be taken over. Build all architectures again.`,
    { platform: gone.platform, digest: gone.digest },
  );
}

function imageOf({ platform, status, digest, media_type, size_bytes }: BuildArchitectureRow): readonly PlatformImage[] {
  if (status !== 'success' || digest === null || media_type === null || size_bytes === null) return [];
  return [{ platform, digest, mediaType: media_type, sizeBytes: size_bytes }];
}

async function askRegistry<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  return ask().catch((error: unknown) => {
    throw new AppError(
      503,
      'registry.not_reachable',
      'The registry did not say which images it still has, so nothing was started. Try again in a moment; if it stays, check the instance.',
      { cause: error, extra: { retryAfterSeconds: 10 } },
    );
  });
}

/** The tip of the ref is left as seen: a rebuild tells nothing new about the source. */
async function insertRebuild(
  trx: DatabaseTransaction,
  {
    deps,
    earlier,
    actor,
    reuse,
  }: { deps: RebuildDeps; earlier: RebuildSource; actor: string; reuse: readonly PlatformImage[] },
): Promise<StartableRun> {
  const { input, repositoryId, triggers, isChainThere } = earlier;
  const { origin } = input;
  if (origin.kind !== 'source') throw new Error('a build has a source');
  const { buildId: _earlierBuild, ...sameOrigin } = origin;
  const { ref, refType } = origin.source;
  const chain = isChainThere ? input.chain : outsideChain;
  const at = deps.clock();
  const run = await insertRun(trx, {
    repository: input.repository,
    chain,
    triggers,
    origin: { ...sameOrigin, reuse },
    cause: 'rebuild',
    actor,
    orderNo: await advanceSourceRef(trx, { repositoryId, ref, refType }),
    workflowId: ({ runId, buildId }) =>
      chain.id === null
        ? workflowIds.build(buildId ?? runId)
        : workflowIds.run({ chainId: chain.id, cause: 'rebuild', runId }),
    timings: deps.config.SLIPWAY_TIMINGS,
    at,
  });
  await takeArchitectures(trx, { runId: run.id, buildId: run.build_id ?? '', images: reuse, at });
  return run;
}
