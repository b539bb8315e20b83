import { createAutomaticBuildActivities } from './automatic-build.ts';
import type { AutomaticBuildDeps } from './automatic-build.ts';
import { createBaseImageActivities } from './base-image.ts';
import type { BaseImageDeps } from './base-image.ts';
import { createBuildActivities } from './build.ts';
import type { BuildDeps } from './build.ts';
import { createCommitStatusActivities } from './commit-status.ts';
import type { CommitStatusDeps } from './commit-status.ts';
import { createPushActivities } from './push.ts';
import type { PushDeps } from './push.ts';
import { createRecordActivities } from './record.ts';
import type { RecordDeps } from './record.ts';
import { createReconcileActivities } from './reconcile.ts';
import type { ReconcileDeps } from './reconcile.ts';
import { createReplicateActivities } from './replicate.ts';
import type { ReplicateDeps } from './replicate.ts';
import { createRetentionActivities } from './retention.ts';
import type { RetentionDeps } from './retention.ts';
import { createScanActivities } from './scan.ts';
import type { ScanDeps } from './scan.ts';
import { createTriggerActivities } from './trigger.ts';
import type { TriggerDeps } from './trigger.ts';

export type ActivityDeps = BuildDeps &
  CommitStatusDeps &
  PushDeps &
  ScanDeps &
  ReplicateDeps &
  TriggerDeps &
  RecordDeps &
  ReconcileDeps &
  AutomaticBuildDeps &
  BaseImageDeps &
  RetentionDeps;

/** Every activity of a worker; a role registers them all and its task queue decides which are called. */
export function createActivities(deps: ActivityDeps) {
  return {
    ...createBuildActivities(deps),
    ...createCommitStatusActivities(deps),
    ...createPushActivities(deps),
    ...createScanActivities(deps),
    ...createReplicateActivities(deps),
    ...createTriggerActivities(deps),
    ...createRecordActivities(deps),
    ...createReconcileActivities(deps),
    ...createAutomaticBuildActivities(deps),
    ...createBaseImageActivities(deps),
    ...createRetentionActivities(deps),
  };
}

/** What workflows may call, by type only. */
export type Activities = ReturnType<typeof createActivities>;
