import { Client, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import type { Connection, ScheduleOptions } from '@temporalio/client';
import type { Duration } from '@temporalio/common';
import { z } from 'zod';
import type { RuleSchedules } from '../activities/automatic-build.ts';
import type { ScheduledRule } from '../db/repositories/build-schedule.ts';
import { scheduleIds, workflowIds } from '../domain/run-id.ts';
import { taskQueues } from '../domain/task-queues.ts';

/** Slipway's own recurring work: what runs, how often, and spread over how long (docs/schedules.md). */
const recurring: readonly {
  readonly name: string;
  readonly workflowType: string;
  readonly every: Duration;
  readonly jitter: Duration;
}[] = [
  // With its spread, and the time a delivery gets to be on its way, no push is found later than after ten minutes.
  { name: 'slipway-reconcile', workflowType: 'sourceReconciliation', every: '9m', jitter: '30s' },
  { name: 'slipway-maintenance', workflowType: 'maintenance', every: '1m', jitter: '5s' },
  { name: 'slipway-base-images', workflowType: 'baseImageWatch', every: '5m', jitter: '30s' },
  { name: 'slipway-retention', workflowType: 'retention', every: '24h', jitter: '1h' },
];

const ruleMemoSchema = z.object({ cron: z.string(), timeZone: z.string() });

/** The engine's schedules: Slipway's own, and those of build rules. */
export interface Schedules extends RuleSchedules {
  /** Makes Slipway's own schedules, or corrects them after an upgrade; two processes may do it at once. */
  ensureOwn(): Promise<void>;
}

export function createSchedules({ connection, namespace }: { connection: Connection; namespace: string }): Schedules {
  const { schedule } = new Client({ connection, namespace });

  async function putOwn(own: (typeof recurring)[number]): Promise<void> {
    const options = ownSchedule(own);
    try {
      await schedule.create(options);
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      const handle = schedule.getHandle(own.name);
      await handle.update(({ state }) => ({ ...options, state }));
    }
  }

  async function remove(ruleId: string): Promise<void> {
    try {
      await schedule.getHandle(scheduleIds.ofRule(ruleId)).delete();
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  }

  return {
    async ensureOwn() {
      for (const own of recurring) await putOwn(own);
    },
    async list() {
      const rules: ScheduledRule[] = [];
      for await (const { scheduleId, memo } of schedule.list()) {
        if (!scheduleId.startsWith(scheduleIds.rulePrefix)) continue;
        const { cron, timeZone } = ruleMemoSchema.safeParse(memo).data ?? { cron: '', timeZone: '' };
        rules.push({ ruleId: scheduleId.slice(scheduleIds.rulePrefix.length), cron, timeZone });
      }
      return rules;
    },
    /** Made anew: what a schedule was made from stands in its memo, which cannot be changed. */
    async put(rule) {
      await remove(rule.ruleId);
      await schedule.create(ruleSchedule(rule));
    },
    remove,
  };
}

function ownSchedule({ name, workflowType, every, jitter }: (typeof recurring)[number]): ScheduleOptions {
  return {
    scheduleId: name,
    spec: { intervals: [{ every }], jitter },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1m' },
    action: {
      type: 'startWorkflow',
      workflowType,
      workflowId: workflowIds.recurring(name),
      taskQueue: taskQueues.chain,
      args: [],
    },
  };
}

/** An occurrence the engine could not start within ten minutes is left out, as is one while the one before is not through. */
function ruleSchedule({ ruleId, cron, timeZone }: ScheduledRule): ScheduleOptions {
  return {
    scheduleId: scheduleIds.ofRule(ruleId),
    spec: { cronExpressions: [cron], timezone: timeZone },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '10m' },
    memo: { cron, timeZone },
    action: {
      type: 'startWorkflow',
      workflowType: 'scheduledBuild',
      workflowId: workflowIds.scheduledBuild(ruleId),
      taskQueue: taskQueues.chain,
      args: [{ ruleId }],
    },
  };
}
