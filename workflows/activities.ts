import { proxyActivities } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import type { Architecture } from '../domain/build.ts';
import type { RunTimings } from '../domain/chain.ts';
import type { ScanPolicy } from '../domain/scan.ts';
import { buildQueue, taskQueues } from '../domain/task-queues.ts';

/**
 * Every timeout, heartbeat and retry of every activity. Start-to-close stands just above the longest honest attempt; what may pass
 * 30 s has a heartbeat; the total is the run's deadline, except for writes of the Record, which must land.
 */
const heartbeat = { heartbeatTimeout: '30s' } as const satisfies ActivityOptions;
const minuteMs = 60_000;

/** The Record: bounded per attempt only. */
export const { startRun, recordSteps, recordImages, endRun } = proxyActivities<
  Pick<Activities, 'startRun' | 'recordSteps' | 'recordImages' | 'endRun'>
>({
  taskQueue: taskQueues.control,
  startToCloseTimeout: '10s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
});

/** Deliveries' rows: bounded per attempt only, as the Record's. */
export const { setDelivery } = proxyActivities<Pick<Activities, 'setDelivery'>>({
  taskQueue: taskQueues.control,
  startToCloseTimeout: '10s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
});

/** Short writes that start or end a step's own rows. */
export function controlActivities(timings: RunTimings) {
  return proxyActivities<Pick<Activities, 'closeScan' | 'openDeliveries'>>({
    taskQueue: taskQueues.control,
    startToCloseTimeout: '10s',
    scheduleToCloseTimeout: timings.deadlineMs,
    retry: { initialInterval: timings.retryInitialMs, backoffCoefficient: 2, maximumInterval: '30s' },
  });
}

export function registryActivities(timings: RunTimings) {
  return proxyActivities<Pick<Activities, 'resolveImage' | 'assembleIndex' | 'moveTags' | 'deleteImage'>>({
    ...heartbeat,
    taskQueue: taskQueues.registry,
    startToCloseTimeout: '2m',
    scheduleToCloseTimeout: timings.deadlineMs,
    retry: retrySlowly(timings),
  });
}

export function sourceActivities(timings: RunTimings) {
  return proxyActivities<Pick<Activities, 'cloneSource'>>({
    ...heartbeat,
    taskQueue: taskQueues.source,
    startToCloseTimeout: '10m',
    scheduleToCloseTimeout: Math.min(30 * minuteMs, timings.deadlineMs),
    retry: { initialInterval: timings.retryInitialMs / 5, backoffCoefficient: 2, maximumInterval: '1m' },
  });
}

/** A rule's own limit ends the attempt from inside, with its code; five minutes more are for the daemon's own retries. */
export function buildActivities(
  timings: RunTimings,
  { region, platform, timeoutMinutes }: { region: string; platform: Architecture; timeoutMinutes: number },
) {
  return proxyActivities<Pick<Activities, 'buildImage'>>({
    ...heartbeat,
    taskQueue: buildQueue(region, platform),
    startToCloseTimeout: (timeoutMinutes + 5) * minuteMs,
    scheduleToCloseTimeout: timings.deadlineMs,
    retry: { ...retrySlowly(timings), maximumAttempts: 5 },
  });
}

/** Lost workers are retried here; the engine's own failures are counted by `runScan`, against the policy's `retries`. */
export function scanActivities(timings: RunTimings, policy: ScanPolicy) {
  return proxyActivities<Pick<Activities, 'scanImage'>>({
    ...heartbeat,
    taskQueue: taskQueues.scan,
    startToCloseTimeout: policy.timeoutSeconds * 1000 + minuteMs,
    scheduleToCloseTimeout: timings.deadlineMs,
    retry: retrySlowly(timings),
  });
}

export function replicateActivities(timings: RunTimings) {
  return proxyActivities<Pick<Activities, 'replicateImage' | 'backUpImage'>>({
    ...heartbeat,
    taskQueue: taskQueues.replicate,
    startToCloseTimeout: '60m',
    scheduleToCloseTimeout: timings.deadlineMs,
    retry: { ...retrySlowly(timings), maximumInterval: '10m' },
  });
}

/** A round of comparing sources ends before the next begins; a lost one is taken up where it was. */
export const { reconcileSources } = proxyActivities<Pick<Activities, 'reconcileSources'>>({
  ...heartbeat,
  taskQueue: taskQueues.source,
  startToCloseTimeout: '9m',
  scheduleToCloseTimeout: '20m',
  retry: { initialInterval: '5s', backoffCoefficient: 2, maximumAttempts: 3 },
});

const automaticStart = {
  ...heartbeat,
  taskQueue: taskQueues.source,
  startToCloseTimeout: '1m',
} as const satisfies ActivityOptions;

/** Starts by the clock: a source host that is away, or a line of builds that is full, for longer skips this occurrence. */
export const { startAutomaticBuild: startScheduledBuild } = proxyActivities<Pick<Activities, 'startAutomaticBuild'>>({
  ...automaticStart,
  scheduleToCloseTimeout: '30m',
  retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m' },
});

/** Starts for a base image: due again in the next round, so one that cannot be made now holds up no other. */
export const { startAutomaticBuild: startBaseImageBuild } = proxyActivities<Pick<Activities, 'startAutomaticBuild'>>({
  ...automaticStart,
  scheduleToCloseTimeout: '3m',
  retry: { initialInterval: '2s', backoffCoefficient: 2, maximumAttempts: 2 },
});

/** Done again by the next round five minutes later. */
export const { readBaseImages } = proxyActivities<Pick<Activities, 'readBaseImages'>>({
  ...heartbeat,
  taskQueue: taskQueues.registry,
  startToCloseTimeout: '4m',
  scheduleToCloseTimeout: '10m',
  retry: { initialInterval: '2s', backoffCoefficient: 2, maximumAttempts: 2 },
});

/** A lost attempt goes on where it was; what is left is due the next day. */
export const { removeExpired } = proxyActivities<Pick<Activities, 'removeExpired'>>({
  ...heartbeat,
  taskQueue: taskQueues.control,
  startToCloseTimeout: '2h',
  scheduleToCloseTimeout: '12h',
  retry: { initialInterval: '1m', backoffCoefficient: 2, maximumInterval: '30m' },
});

/** Done again by the next round a minute later. */
export const { applyRuleSchedules } = proxyActivities<Pick<Activities, 'applyRuleSchedules'>>({
  ...heartbeat,
  taskQueue: taskQueues.control,
  startToCloseTimeout: '2m',
  scheduleToCloseTimeout: '5m',
  retry: { initialInterval: '2s', backoffCoefficient: 2, maximumAttempts: 2 },
});

/** One attempt: the ladder of workflow timers is the retry. No heartbeat, so cancellation does not wait for the answer. */
export const { sendTrigger } = proxyActivities<Pick<Activities, 'sendTrigger'>>({
  taskQueue: taskQueues.trigger,
  startToCloseTimeout: '45s',
  scheduleToCloseTimeout: '10m',
  cancellationType: 'TRY_CANCEL',
  retry: { maximumAttempts: 1 },
});

/** One attempt; the ladder of workflow timers is the retry. */
export const { sendCommitStatus } = proxyActivities<Pick<Activities, 'sendCommitStatus'>>({
  taskQueue: taskQueues.trigger,
  startToCloseTimeout: '45s',
  scheduleToCloseTimeout: '10m',
  cancellationType: 'TRY_CANCEL',
  retry: { maximumAttempts: 1 },
});

function retrySlowly(timings: RunTimings) {
  return { initialInterval: timings.retryInitialMs, backoffCoefficient: 2, maximumInterval: '5m' } as const;
}
