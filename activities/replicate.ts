import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import type { RepositoryRef, RunImages } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import { RegistryError } from '../domain/registry-error.ts';
import type { ReplicationTarget } from '../domain/replicate.ts';
import type { Database } from '../db/database.ts';
import { recordChild } from '../db/repositories/record.ts';
import {
  endReplicationTasks,
  mountPlaces,
  noteBlobPlaces,
  noteReplicationIssue,
  noteReplicationProgress,
  startReplicationTasks,
} from '../db/repositories/replicate.ts';
import type { CopyCounts } from '../db/repositories/replicate.ts';
import type { CopyProgress, ImageCopy, ImageCopyResult } from './drivers/registry-copy.ts';
import type { Registries } from './drivers/registries.ts';
import { heartbeating } from './heartbeat.ts';

export interface ReplicateDeps {
  readonly db: Database;
  readonly registries: Registries;
  readonly imageCopy: (copy: ImageCopy) => Promise<ImageCopyResult>;
  readonly clock: () => Date;
}

export interface ReplicateImageInput {
  readonly runId: string;
  readonly attempt: number;
  readonly repository: RepositoryRef;
  readonly images: RunImages;
  /** All of one destination repository: they share one copy of the blobs. Never empty. */
  readonly targets: readonly ReplicationTarget[];
}

export interface ReplicateImageResult {
  readonly bytes: number;
  readonly blobs: { readonly copied: number; readonly mounted: number; readonly skipped: number };
}

const progressEveryMs = 1_000;

/** Carries an image to another registry (docs/product.md, section 10). */
export function createReplicateActivities(deps: ReplicateDeps) {
  const { db, clock } = deps;
  return {
    /**
     * Copies one image to one destination repository, under every target's tag. May run twice: what is there is not sent again.
     * Fails for good with `replication.<issue>`; all else is retried, and the Record says why it waits.
     */
    async replicateImage(input: ReplicateImageInput): Promise<ReplicateImageResult> {
      const { runId, images, targets } = input;
      const tasks = await startReplicationTasks(db, { runId, digest: images.digest, targets, at: clock() });
      const ids = tasks.map((task) => task.id);
      await recordChildren(deps, input, { state: 'running', reason: null, result: null });
      try {
        const result = await heartbeating((signal) => copyImage(deps, input, { ids, signal }));
        const at = clock();
        await endReplicationTasks(db, ids, {
          status: 'success',
          issue: null,
          reason: null,
          counts: countsOf(result),
          at,
        });
        const task = Object.fromEntries(tasks.map(({ id, destination_key }) => [destination_key, id]));
        const done = { bytes: result.bytes, blobs: result.blobs, verifiedAt: at.toISOString() };
        await recordChildren(deps, input, { state: 'success', reason: null, result: done, task });
        return { bytes: result.bytes, blobs: result.blobs };
      } catch (error) {
        throw await noteFailure(deps, input, { ids, error });
      }
    },
  };
}

async function copyImage(
  { db, registries, imageCopy, clock }: ReplicateDeps,
  input: ReplicateImageInput,
  { ids, signal }: { ids: readonly string[]; signal: AbortSignal },
): Promise<ImageCopyResult> {
  const { repository, images, targets } = input;
  const destination = destinationOf(targets);
  const path = `${destination.namespace}/${destination.repository}`;
  const sourcePath = `${repository.namespace}/${repository.name}`;
  const places = await mountPlaces(db, {
    source: { instanceId: repository.instanceId, path: sourcePath },
    instance: destination.instance,
  });
  const [source, target] = await Promise.all([
    registries.client(repository.instance, [{ repository: sourcePath, actions: ['pull'] }]),
    registries.client(destination.instance, [
      { repository: path, actions: ['pull', 'push'] },
      ...[...new Set([...places.values()].flat())].map((from) => ({ repository: from, actions: ['pull' as const] })),
    ]),
  ]);
  const result = await imageCopy({
    source: { client: source, repository: sourcePath, digest: images.digest },
    destination: { client: target, repository: path },
    tags: targets.map(({ tag }) => tag),
    isOverrideAllowed: targets.every((each) => each.isOverrideAllowed),
    mountFrom: (digest) => places.get(digest) ?? [],
    bandwidthKiBs: slowest(targets),
    onProgress: throttled(
      clock,
      (progress) => void noteReplicationProgress(db, ids, countsOfProgress(progress)).catch(() => undefined),
    ),
    signal,
  });
  await noteBlobPlaces(db, {
    source: { instanceId: repository.instanceId, path: sourcePath },
    instance: destination.instance,
    path,
  });
  return result;
}

function destinationOf(targets: readonly ReplicationTarget[]): ReplicationTarget {
  const [first] = targets;
  if (first === undefined)
    throw ApplicationFailure.nonRetryable('A copy without a destination was asked for', 'internal');
  return first;
}

/** The lowest limit of the rules that share the copy; 0 is no limit. */
function slowest(targets: readonly ReplicationTarget[]): number {
  const limits = targets.map(({ bandwidthKiBs }) => bandwidthKiBs).filter((limit) => limit > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}

interface ChildEnd {
  readonly state: 'running' | 'success' | 'failed';
  readonly reason: Reason | null;
  readonly result: Readonly<Record<string, unknown>> | null;
  /** Task ids by destination key. */
  readonly task?: Readonly<Record<string, string>>;
}

async function recordChildren(
  { db, clock }: ReplicateDeps,
  { runId, attempt, targets }: ReplicateImageInput,
  child: ChildEnd,
): Promise<void> {
  const { state, reason, task = {} } = child;
  for (const { key } of targets) {
    const result = child.result === null ? null : { task: task[key] ?? null, ...child.result };
    await recordChild(db, { runId, attempt, step: 'replicate', key, state, reason, result, at: clock() });
  }
}

/** Writes down why a copy ended, and answers what the activity throws. */
async function noteFailure(
  deps: ReplicateDeps,
  input: ReplicateImageInput,
  { ids, error }: { ids: readonly string[]; error: unknown },
): Promise<unknown> {
  const { db, clock } = deps;
  if (error instanceof CancelledFailure) {
    const isShutdown = error.message === 'WORKER_SHUTDOWN';
    if (!isShutdown)
      await endReplicationTasks(db, ids, { status: 'canceled', issue: null, reason: null, counts: null, at: clock() });
    return error;
  }
  const { issue, isPermanent, text } = issueOf(error);
  const reason: Reason = {
    code: `replication.${issue}`,
    params: { instance: destinationOf(input.targets).instance },
    text,
  };
  if (isPermanent) {
    await endReplicationTasks(db, ids, { status: 'failed', issue, reason, counts: null, at: clock() });
    await recordChildren(deps, input, { state: 'failed', reason, result: null });
    return ApplicationFailure.nonRetryable(text, reason.code, reason.params);
  }
  const waiting = { ...reason, text: `Waiting to try again: ${text}` };
  await noteReplicationIssue(db, ids, { issue, reason: waiting });
  await recordChildren(deps, input, { state: 'running', reason: waiting, result: null });
  if (error instanceof RegistryError && error.retryAfterMs !== undefined) {
    return ApplicationFailure.create({ message: text, type: reason.code, nextRetryDelay: error.retryAfterMs });
  }
  return error;
}

function issueOf(error: unknown): { issue: string; isPermanent: boolean; text: string } {
  if (error instanceof RegistryError)
    return { issue: error.issue, isPermanent: error.isPermanent, text: error.message };
  return { issue: 'internal_error', isPermanent: false, text: error instanceof Error ? error.message : String(error) };
}

function countsOf({ bytes, blobs }: ImageCopyResult): CopyCounts {
  return {
    bytesTotal: bytes,
    bytesCopied: bytes,
    blobsCopied: blobs.copied,
    blobsMounted: blobs.mounted,
    blobsSkipped: blobs.skipped,
  };
}

function countsOfProgress({ bytes, bytesTotal, blobs }: CopyProgress): CopyCounts {
  return {
    bytesTotal,
    bytesCopied: bytes,
    blobsCopied: blobs.copied,
    blobsMounted: blobs.mounted,
    blobsSkipped: blobs.skipped,
  };
}

/** At most one call a second: progress is for people. */
function throttled(clock: () => Date, write: (progress: CopyProgress) => void): (progress: CopyProgress) => void {
  let lastMs = 0;
  return (progress) => {
    const nowMs = clock().getTime();
    if (nowMs - lastMs < progressEveryMs) return;
    lastMs = nowMs;
    write(progress);
  };
}
