import { listBuildPlatforms, listWorkerless } from '../db/repositories/build-worker.ts';
import type { WorkerlessBuild } from '../db/repositories/build-worker.ts';
import { recordChild } from '../db/repositories/record.ts';
import type { Database } from '../db/database.ts';
import type { Architecture } from '../domain/build.ts';
import { invalidRequest } from '../domain/errors.ts';
import type { Reason } from '../domain/errors.ts';
import type { RepositoryDefinition } from '../domain/repository.ts';
import type { Clock } from './deps.ts';

/** A run waits so long for a worker that is not there before its Record says so. */
const workerlessAfterMs = 30_000;
const batch = 50;

interface WorkersDeps {
  readonly db: Database;
  readonly clock: Clock;
}

/**
 * Refuses architectures that no worker of the region builds (docs/product.md, section 6, "architectures"). Where no worker of the
 * region is known at all nothing is refused: it may come up later, and a run that waits for one says so. `pointer` is the field's.
 * Errors: 422 `build_rule.architecture_without_worker`.
 */
export async function requireArchitectures(
  { db, clock }: WorkersDeps,
  { region, architectures, pointer }: { region: string; architectures: readonly Architecture[]; pointer: string },
): Promise<void> {
  const offered = await listBuildPlatforms(db, { region, at: clock() });
  if (offered === undefined) return;
  const missing = architectures.filter((architecture) => !offered.includes(architecture));
  if (missing.length === 0) return;
  throw invalidRequest(
    missing.map((architecture) => ({
      pointer: `${pointer}/${architectures.indexOf(architecture)}`,
      code: 'build_rule.architecture_without_worker',
      message: `No worker in the region "${region}" builds ${architecture}; those there build ${offered.join(', ')}. Leave it out, or start a worker that builds it.`,
    })),
  );
}

/** Both refusals for a repository that is made with its settings and rules; pointers are those of its body. */
export async function requireBuilders(
  deps: WorkersDeps,
  {
    ownRegion,
    buildSettings: { buildRegion },
    buildRules,
  }: { ownRegion: string } & Pick<RepositoryDefinition, 'buildSettings' | 'buildRules'>,
): Promise<void> {
  await requireBuildRegion(deps, buildRegion);
  for (const [index, { architectures }] of buildRules.entries()) {
    const pointer = `/buildRules/${index}/architectures`;
    await requireArchitectures(deps, { region: buildRegion ?? ownRegion, architectures, pointer });
  }
}

/**
 * Refuses a build region without workers (docs/product.md, section 4, "buildRegion"); null, the instance's own, always holds.
 * Errors: 422 `build.region_without_workers`.
 */
export async function requireBuildRegion({ db, clock }: WorkersDeps, region: string | null): Promise<void> {
  if (region === null || (await listBuildPlatforms(db, { region, at: clock() })) !== undefined) return;
  throw invalidRequest([
    {
      pointer: '/buildSettings/buildRegion',
      code: 'build.region_without_workers',
      message: `No worker builds in the region "${region}" now. Choose a region that has workers, or start one there.`,
    },
  ]);
}

/** Says on the Records of runs that wait for a worker nobody has seen what they wait for; answers how many. */
export async function noteWorkerless({ db, clock }: WorkersDeps): Promise<number> {
  const at = clock();
  const since = new Date(at.getTime() - workerlessAfterMs);
  const waiting = await listWorkerless(db, { since, at, code: waitsCode, limit: batch });
  for (const { runId, attempt, platform, region } of waiting) {
    const reason = waitsFor({ platform, region });
    await recordChild(db, { runId, attempt, step: 'build', key: platform, state: 'waiting', reason, result: null, at });
  }
  return waiting.length;
}

const waitsCode = 'build.waits_for_worker';

function waitsFor({ platform, region }: Pick<WorkerlessBuild, 'platform' | 'region'>): Reason {
  return {
    code: waitsCode,
    params: { platform, region },
    text: `waits for a worker of ${platform} in ${region}: none is there; start one, or change the build rule`,
  };
}
