import type { DatabaseTransaction } from '../db/database.ts';
import { getBuildForRebuild } from '../db/repositories/build.ts';
import type { RebuildSource } from '../db/repositories/build.ts';
import { findLiveRun, insertRun, outsideChain } from '../db/repositories/run-start.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import { advanceSourceRef, lockSourceRef } from '../db/repositories/source-ref.ts';
import { conflict } from '../domain/errors.ts';
import { workflowIds } from '../domain/run-id.ts';
import type { StartBuildDeps } from './start-build.ts';

type RebuildDeps = Pick<StartBuildDeps, 'db' | 'starter' | 'clock' | 'config'>;

/**
 * Builds a build's commit again by the same rule, policy and times, under a new order number: a rollback wins
 * (docs/product.md, section 7, "Started by"). The same rule, ref and commit already live: that run. Errors: 404
 * `build.not_found`, 409 `build.not_finished`.
 */
export async function rebuild(deps: RebuildDeps, { buildId, actor }: { buildId: string; actor: string }) {
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
    return insertRebuild(trx, { deps, earlier, actor });
  });
  void deps.starter.start(run);
  return run;
}

/** The tip of the ref is left as seen: a rebuild tells nothing new about the source. */
async function insertRebuild(
  trx: DatabaseTransaction,
  { deps, earlier, actor }: { deps: RebuildDeps; earlier: RebuildSource; actor: string },
): Promise<StartableRun> {
  const { input, repositoryId, triggers, isChainThere } = earlier;
  const { origin } = input;
  if (origin.kind !== 'source') throw new Error('a build has a source');
  const { buildId: _earlierBuild, ...sameOrigin } = origin;
  const { ref, refType } = origin.source;
  const chain = isChainThere ? input.chain : outsideChain;
  return insertRun(trx, {
    repository: input.repository,
    chain,
    triggers,
    origin: sameOrigin,
    cause: 'rebuild',
    actor,
    orderNo: await advanceSourceRef(trx, { repositoryId, ref, refType }),
    workflowId: ({ runId, buildId }) =>
      chain.id === null
        ? workflowIds.build(buildId ?? runId)
        : workflowIds.run({ chainId: chain.id, cause: 'rebuild', runId }),
    timings: deps.config.SLIPWAY_TIMINGS,
    at: deps.clock(),
  });
}
