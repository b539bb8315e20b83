import type { Database } from '../db/database.ts';
import { deleteExpiredStatuses } from '../db/repositories/commit-status.ts';
import { deleteSegments, listExpiredSegments } from '../db/repositories/log.ts';
import {
  deleteExpiredDeliveries,
  deleteExpiredScans,
  dropInboxBodies,
  forgetReport,
  listExpiredReports,
} from '../db/repositories/retention.ts';
import { limits } from '../domain/limits.ts';
import type { KeptDays } from '../domain/retention.ts';
import { removeUnusedCaches } from './build-cache.ts';
import { removeRuns } from './held-image.ts';
import type { RemovedRuns } from './held-image.ts';
import type { ObjectStore } from './drivers/object-store.ts';
import type { Registries } from './drivers/registries.ts';
import { heartbeating } from './heartbeat.ts';
import { inLanes } from './lanes.ts';

export interface RetentionDeps {
  readonly db: Database;
  readonly objectStore: Pick<ObjectStore, 'objectDelete' | 'objectList'>;
  readonly registries: Pick<Registries, 'client'>;
  readonly keptDays: KeptDays;
  readonly clock: () => Date;
}

export interface RetentionInput {
  /** Of this round, in milliseconds since 1970: what is over is the same for every attempt. */
  readonly atMs: number;
}

/** What was removed. */
export interface Removed extends RemovedRuns {
  readonly logSegments: number;
  readonly reports: number;
  readonly deliveries: number;
  readonly bodies: number;
  readonly scans: number;
  readonly contexts: number;
  readonly commitStatuses: number;
  readonly buildCaches: number;
}

/** Rows of one statement: short enough to hold no lock for long. */
const batch = 500;
const deletesAtOnce = 8;
const dayMs = 24 * 3_600_000;

/**
 * Removes what is over (docs/product.md, sections 12 and 15): objects before the rows that name them, in batches, so that a lost
 * attempt goes on where it was; images before the Records that name them. Nothing that has not ended is touched.
 */
async function removeExpired(deps: RetentionDeps, { atMs }: RetentionInput): Promise<Removed> {
  const { db, keptDays } = deps;
  const daysAgo = (days: number) => ({ before: new Date(atMs - days * dayMs), limit: batch });
  return heartbeating(async (signal) => ({
    logSegments: await untilNone(signal, () => removeLogs(deps, daysAgo(keptDays.logs), signal)),
    reports: await untilNone(signal, () => removeReports(deps, daysAgo(keptDays.logs), signal)),
    deliveries: await untilNone(signal, () => deleteExpiredDeliveries(db, daysAgo(keptDays.deliveries))),
    bodies: await untilNone(signal, () => dropInboxBodies(db, daysAgo(keptDays.deliveries))),
    ...(await removeRuns(deps, daysAgo(keptDays.records), signal)),
    scans: await untilNone(signal, () => deleteExpiredScans(db, daysAgo(keptDays.records))),
    contexts: await removeContexts(deps, daysAgo(limits.contextsKeptDays), signal),
    commitStatuses: await untilNone(signal, () => deleteExpiredStatuses(db, daysAgo(keptDays.records))),
    buildCaches: await untilNone(signal, () => removeUnusedCaches(deps, daysAgo(limits.buildCacheKeptDays), signal)),
  }));
}

/** Repeats a batch for as long as it finds something; answers the sum. */
async function untilNone(signal: AbortSignal, removeBatch: () => Promise<number>): Promise<number> {
  for (let removed = 0; ;) {
    signal.throwIfAborted();
    const count = await removeBatch();
    if (count === 0) return removed;
    removed += count;
  }
}

async function removeLogs(
  { db, objectStore, clock }: RetentionDeps,
  { before, limit }: { before: Date; limit: number },
  signal: AbortSignal,
): Promise<number> {
  const segments = await listExpiredSegments(db, { endedBefore: before, limit });
  await inLanes(segments, deletesAtOnce, ({ object_key: key }) => objectStore.objectDelete(key, { signal }));
  await deleteSegments(db, { segments, at: clock() });
  return segments.length;
}

async function removeReports(
  { db, objectStore }: RetentionDeps,
  expired: { before: Date; limit: number },
  signal: AbortSignal,
): Promise<number> {
  const reports = await listExpiredReports(db, expired);
  await inLanes(reports, deletesAtOnce, async (report) => {
    for (const key of report.keys) await objectStore.objectDelete(key, { signal });
    await forgetReport(db, report);
  });
  return reports.length;
}

/** Contexts are kept by their content, in no row: their time in the store says when a run last needed them. */
async function removeContexts(
  { objectStore }: RetentionDeps,
  { before }: { before: Date },
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for await (const { key, modifiedAt } of objectStore.objectList('src/', { signal })) {
    if (modifiedAt >= before) continue;
    await objectStore.objectDelete(key, { signal });
    removed += 1;
  }
  return removed;
}

export function createRetentionActivities(deps: RetentionDeps) {
  return { removeExpired: (input: RetentionInput) => removeExpired(deps, input) };
}
