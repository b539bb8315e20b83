import { sql } from 'kysely';
import type { Architecture, PlatformImage } from '../../domain/build.ts';
import type { Reason } from '../../domain/errors.ts';
import { buildStages, type BuildStage } from '../../domain/log-line.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { BuildReason } from '../tables/build.ts';

/** Shows where a build is: the furthest stage any of its architectures has reached. Ended builds stay ended. */
export async function setBuildStage(
  db: Database,
  { buildId, stage, at }: { buildId: string; stage: BuildStage; at: Date },
): Promise<void> {
  await db
    .updateTable('build')
    .set({ status: 'building', stage, started_at: sql`coalesce(started_at, ${at})` })
    .where('id', '=', buildId)
    .where('ended_at', 'is', null)
    .where((eb) =>
      eb.or([eb('stage', 'is', null), eb('stage', 'in', buildStages.slice(0, buildStages.indexOf(stage) + 1))]),
    )
    .execute();
}

/** What the commit says of itself, where whoever started the build did not tell: by hand, by the clock, for a missed push. */
export async function noteCommit(
  db: Database,
  {
    runId,
    buildId,
    message,
    author,
  }: { runId: string; buildId: string; message: string | null; author: string | null },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const told = { message, author };
    await trx.updateTable('build').set(told).where('id', '=', buildId).where('message', 'is', null).execute();
    await trx.updateTable('run').set(told).where('id', '=', runId).where('message', 'is', null).execute();
  });
}

/** The image of a build: its manifest, or the index over its architectures; partial where some are missing. */
export async function setBuildDigest(
  db: Database,
  { buildId, digest, isPartial }: { buildId: string; digest: string; isPartial: boolean },
): Promise<void> {
  await db
    .updateTable('build')
    .set({ digest, is_partial: isPartial, stage: 'push' })
    .where('id', '=', buildId)
    .where('ended_at', 'is', null)
    .execute();
}

/** An ended build is left as it is, whatever a worker that was thought dead still reports. */
const isLive = sql<boolean>`exists (
  select from build where build.id = build_architecture.build_id and build.ended_at is null)`;

/** An attempt at one architecture begins; the first one sets the start. */
export async function startArchitecture(
  db: Database,
  { buildId, platform, at }: { buildId: string; platform: Architecture; at: Date },
): Promise<void> {
  const values = { status: 'building', reason: JSON.stringify(null), ended_at: null } as const;
  await db
    .insertInto('build_architecture')
    .values({ build_id: buildId, platform, ...values, ...noImage, attempts: 1, started_at: at })
    .onConflict((conflict) =>
      conflict
        .columns(['build_id', 'platform'])
        .doUpdateSet({
          ...values,
          attempts: sql`build_architecture.attempts + 1`,
          started_at: sql`coalesce(build_architecture.started_at, excluded.started_at)`,
        })
        .where(isLive),
    )
    .execute();
}

const noImage = { digest: null, media_type: null, size_bytes: null, cached_steps: null } as const;

/** One architecture is built and pushed by digest. */
export async function finishArchitecture(
  db: Database,
  {
    buildId,
    image,
    cachedSteps,
    at,
  }: { buildId: string; image: PlatformImage & { readonly platform: Architecture }; cachedSteps: number; at: Date },
): Promise<void> {
  await db
    .updateTable('build_architecture')
    .set({
      status: 'success',
      digest: image.digest,
      media_type: image.mediaType,
      size_bytes: image.sizeBytes,
      cached_steps: cachedSteps,
      reason: JSON.stringify(null),
      ended_at: at,
    })
    .where('build_id', '=', buildId)
    .where('platform', '=', image.platform)
    .where(isLive)
    .execute();
}

/** An attempt failed: for good, or to be tried again, which `reason` then says. */
export async function noteArchitectureFailure(
  db: Database,
  {
    buildId,
    platform,
    reason,
    endedAt,
  }: { buildId: string; platform: Architecture; reason: BuildReason; endedAt: Date | null },
): Promise<void> {
  await db
    .updateTable('build_architecture')
    .set({
      status: endedAt === null ? 'building' : 'failed',
      reason: JSON.stringify(reason),
      ended_at: endedAt,
    })
    .where('build_id', '=', buildId)
    .where('platform', '=', platform)
    .where(isLive)
    .execute();
}

/** The architectures a partial build goes without: those still open have used up their attempts. */
export async function failArchitectures(
  db: Database,
  {
    runId,
    attempt,
    buildId,
    failed,
    at,
  }: {
    runId: string;
    attempt: number;
    buildId: string;
    failed: readonly { readonly platform: string; readonly reason: Reason }[];
    at: Date;
  },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    for (const { platform, reason } of failed) {
      const fault = reason.params['fault'] === 'user' ? 'user' : 'system';
      await trx
        .updateTable('build_architecture')
        .set({ status: 'failed', ended_at: at, reason: JSON.stringify({ ...reason, fault }) })
        .where('build_id', '=', buildId)
        .where(sql<boolean>`platform = ${platform}`)
        .where('status', 'in', ['pending', 'building'])
        .execute();
      await trx
        .updateTable('run_step_child')
        .set({ state: 'failed', ended_at: at, reason: JSON.stringify(reason) })
        .where('run_id', '=', runId)
        .where('attempt', '=', attempt)
        .where('step', '=', 'build')
        .where('key', '=', platform)
        .where('state', 'in', ['waiting', 'running'])
        .execute();
    }
  });
}

/** Shows what a new build takes over from an earlier one: those architectures are there before anything is built. */
export async function takeArchitectures(
  trx: DatabaseTransaction,
  { runId, buildId, images, at }: { runId: string; buildId: string; images: readonly PlatformImage[]; at: Date },
): Promise<void> {
  for (const { platform, digest, mediaType, sizeBytes } of images) {
    await trx
      .updateTable('build_architecture')
      .set({
        status: 'success',
        digest,
        media_type: mediaType,
        size_bytes: sizeBytes,
        is_reused: true,
        started_at: at,
        ended_at: at,
      })
      .where('build_id', '=', buildId)
      .where(sql<boolean>`platform = ${platform}`)
      .execute();
    await trx
      .insertInto('run_step_child')
      .values({
        run_id: runId,
        attempt: 1,
        step: 'build',
        key: platform,
        state: 'success',
        reason: JSON.stringify(null),
        result: JSON.stringify({ digest, sizeBytes, isReused: true }),
        started_at: at,
        ended_at: at,
      })
      .execute();
  }
}
