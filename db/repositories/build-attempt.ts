import type { Architecture, PlatformImage } from '../../domain/build.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { BuildBaseImageRow, BuildReason } from '../tables/build.ts';
import { noteBaseImages } from './build-cache.ts';
import { finishArchitecture, noteArchitectureFailure, startArchitecture } from './build-progress.ts';
import { writeChild } from './record.ts';

/** One architecture of a build, as its run's Record knows it. */
export interface BuildPlace {
  readonly runId: string;
  readonly attempt: number;
  readonly buildId: string;
  readonly platform: Architecture;
}

/**
 * The number of one attempt at an architecture. Only the newest one writes: a worker that was frozen, and whose build another took
 * over meanwhile, changes nothing when it goes on (docs/product.md, section 7).
 */
export interface BuildAttempt extends BuildPlace {
  readonly number: number;
}

/** Begins an attempt and shows it; every one before it has lost its say. Of a build that has ended the number stays. */
export async function beginAttempt(db: Database, place: BuildPlace, at: Date): Promise<BuildAttempt> {
  return db.transaction().execute(async (trx) => {
    await startArchitecture(trx, { ...place, at });
    const number = (await newestAttempt(trx, place)) ?? 0;
    await writeChild(trx, { ...childOf(place), state: 'running', reason: null, result: null, at });
    return { ...place, number };
  });
}

/** Writes an attempt's image, unless another attempt has begun: then nothing is written and the answer is false. */
export async function finishAttempt(
  db: Database,
  attempt: BuildAttempt,
  {
    image,
    steps,
    cachedSteps,
    baseImages,
    at,
  }: {
    image: PlatformImage & { readonly platform: Architecture };
    steps: number;
    cachedSteps: number;
    baseImages: readonly Omit<BuildBaseImageRow, 'build_id'>[];
    at: Date;
  },
): Promise<boolean> {
  return ifNewest(db, attempt, async (trx) => {
    const { buildId } = attempt;
    await noteBaseImages(trx, { buildId, baseImages });
    await finishArchitecture(trx, { buildId, image, cachedSteps, at });
    const result = { digest: image.digest, sizeBytes: image.sizeBytes, steps, cachedSteps };
    await writeChild(trx, { ...childOf(attempt), state: 'success', reason: null, result, at });
  });
}

/** Writes why an attempt failed: for good, or to be tried again. As with `finishAttempt`, only the newest one does. */
export async function noteAttemptFailure(
  db: Database,
  attempt: BuildAttempt,
  { reason, isPermanent, at }: { reason: BuildReason; isPermanent: boolean; at: Date },
): Promise<boolean> {
  return ifNewest(db, attempt, async (trx) => {
    await noteArchitectureFailure(trx, { ...attempt, reason, endedAt: isPermanent ? at : null });
    const { fault: _fault, ...childReason } = reason;
    const state = isPermanent ? 'failed' : 'running';
    await writeChild(trx, { ...childOf(attempt), state, reason: childReason, result: null, at });
  });
}

/** The row is locked until the work is committed, so that no attempt begins in between. */
async function ifNewest(
  db: Database,
  attempt: BuildAttempt,
  work: (trx: DatabaseTransaction) => Promise<void>,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    if (((await newestAttempt(trx, attempt)) ?? 0) !== attempt.number) return false;
    await work(trx);
    return true;
  });
}

async function newestAttempt(trx: DatabaseTransaction, { buildId, platform }: BuildPlace): Promise<number | undefined> {
  const row = await trx
    .selectFrom('build_architecture')
    .select('attempts')
    .where('build_id', '=', buildId)
    .where('platform', '=', platform)
    .forUpdate()
    .executeTakeFirst();
  return row?.attempts;
}

function childOf({ runId, attempt, platform }: BuildPlace) {
  return { runId, attempt, step: 'build', key: platform } as const;
}
