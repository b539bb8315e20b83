import { randomUUID } from 'node:crypto';
import { Connection } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { taskQueues } from '../../domain/task-queues.ts';
import { createSchedules } from '../../worker/schedules.ts';
import type { Schedules } from '../../worker/schedules.ts';
import { keepHistory } from '../support/histories.ts';
import { connectClient, fakeActivities, permanent, withWorkers, testTemporal } from '../support/chain-world.ts';

let client: Client;
let connection: Connection;
let schedules: Schedules;
beforeAll(async () => {
  client = await connectClient();
  const { address, namespace } = testTemporal();
  connection = Connection.lazy({ address });
  schedules = createSchedules({ connection, namespace });
});
afterAll(async () => {
  for (const name of ['slipway-reconcile', 'slipway-maintenance', 'slipway-base-images', 'slipway-retention'])
    await client.schedule.getHandle(name).delete();
  await connection.close();
  await client.connection.close();
});

const ruleHandle = (ruleId: string) => client.schedule.getHandle(`build-rule/${ruleId}`);
const newRuleId = () => `crbr-${randomUUID()}`;
/** Runs one round, and keeps its history under `name`. */
async function run(workflowType: string, name: string): Promise<unknown> {
  const workflowId = `test/${randomUUID()}`;
  const handle = await client.workflow.start(workflowType, { taskQueue: taskQueues.chain, workflowId, args: [] });
  try {
    return await handle.result();
  } finally {
    await keepHistory(client, workflowId, name);
  }
}

describe("Slipway's own schedules", () => {
  test('are made once, and made again change nothing but what an upgrade brought', async () => {
    await schedules.ensureOwn();
    await client.schedule.getHandle('slipway-reconcile').pause();
    await schedules.ensureOwn();
    const { spec, policies, action, state } = await client.schedule.getHandle('slipway-reconcile').describe();
    expect(spec.intervals).toMatchObject([{ every: 540_000 }]);
    expect(policies.overlap).toBe('SKIP');
    expect(action).toMatchObject({ workflowType: 'sourceReconciliation', taskQueue: taskQueues.chain });
    expect(state.paused).toBe(true);
  });
});

describe("a build rule's schedule", () => {
  test('follows its cron line in its time zone', async () => {
    const ruleId = newRuleId();
    await schedules.put({ ruleId, cron: '0 3 * * *', timeZone: 'Asia/Shanghai' });
    const { info } = await ruleHandle(ruleId).describe();
    expect(info.nextActionTimes[0]?.toISOString()).toMatch(/T19:00:00.000Z$/);
    await schedules.remove(ruleId);
  });

  test('is listed as it was made, replaced when it changes, and gone when it is removed', async () => {
    const ruleId = newRuleId();
    const listed = async () => (await schedules.list()).filter((rule) => rule.ruleId === ruleId);
    await schedules.put({ ruleId, cron: '0 3 * * *', timeZone: 'UTC' });
    await expect.poll(listed).toEqual([{ ruleId, cron: '0 3 * * *', timeZone: 'UTC' }]);
    await schedules.put({ ruleId, cron: '30 4 * * MON', timeZone: 'Europe/Berlin' });
    await expect.poll(listed).toEqual([{ ruleId, cron: '30 4 * * MON', timeZone: 'Europe/Berlin' }]);
    await schedules.remove(ruleId);
    await schedules.remove(ruleId);
    await expect.poll(listed).toEqual([]);
  });

  test('starts a build of its rule at each occurrence', async () => {
    const ruleId = newRuleId();
    const fakes = fakeActivities();
    await withWorkers(fakes, async () => {
      await schedules.put({ ruleId, cron: '0 0 1 1 *', timeZone: 'UTC' });
      const before = Date.now();
      await ruleHandle(ruleId).trigger();
      await expect.poll(() => fakes.startAutomaticBuild.mock.calls.length, { timeout: 20_000 }).toBe(1);
      const [input] = fakes.startAutomaticBuild.mock.calls[0] ?? [];
      expect(input).toMatchObject({ ruleId, cause: 'schedule', ref: null });
      expect(Math.abs((input?.sinceMs ?? 0) - before)).toBeLessThan(20_000);
      const { info } = await ruleHandle(ruleId).describe();
      const started = info.recentActions[0]?.action.workflow.workflowId ?? '';
      await client.workflow.getHandle(started).result();
      await keepHistory(client, started, 'scheduled-build');
    });
    await schedules.remove(ruleId);
  });
});

describe('recurring work', () => {
  test('reconciliation compares every source and gives a delivery time to arrive', async () => {
    const fakes = fakeActivities();
    await withWorkers(fakes, async () => {
      expect(await run('sourceReconciliation', 'reconciliation')).toEqual({ compared: 0, failed: 0, missed: 0 });
    });
    expect(fakes.reconcileSources.mock.calls[0]?.[0]).toMatchObject({ isNew: false, graceMs: 15_000 });
  });

  test('what was made from an older base image is built anew; what cannot be started now stops nothing else', async () => {
    const fakes = fakeActivities();
    const stale = ['crbr-1', 'crbr-2'].map((ruleId) => ({ ruleId, ref: 'main', image: 'debian', sinceMs: 7 }));
    fakes.readBaseImages.mockResolvedValue({ images: 1, failed: 0, stale });
    fakes.startAutomaticBuild.mockRejectedValueOnce(permanent('source.not_authorized', 'The login is refused.'));
    await withWorkers(fakes, async () => {
      expect(await run('baseImageWatch', 'base-image-watch')).toEqual({ images: 1, started: 1 });
    });
    expect(fakes.startAutomaticBuild.mock.calls.map(([input]) => input)).toEqual([
      { ruleId: 'crbr-1', ref: 'main', cause: 'base_image', sinceMs: 7 },
      { ruleId: 'crbr-2', ref: 'main', cause: 'base_image', sinceMs: 7 },
    ]);
  });

  test('retention removes what is over at the time its round began, whichever attempt does it', async () => {
    const fakes = fakeActivities();
    const before = Date.now();
    fakes.removeExpired.mockRejectedValueOnce(permanent('internal', 'a defect'));
    await withWorkers(fakes, async () => {
      await expect(run('retention', 'retention-failed')).rejects.toThrow('Workflow execution failed');
      expect(await run('retention', 'retention')).toMatchObject({ runs: 0, heldRuns: 0 });
    });
    for (const [{ atMs }] of fakes.removeExpired.mock.calls) expect(atMs).toBeGreaterThanOrEqual(before - 1_000);
  });

  test('maintenance looks at new bindings also when the schedules of rules cannot be changed', async () => {
    const fakes = fakeActivities();
    fakes.applyRuleSchedules.mockRejectedValue(new Error('the engine is busy'));
    await withWorkers(fakes, async () => {
      await expect(run('maintenance', 'maintenance')).rejects.toThrow('Workflow execution failed');
    });
    expect(fakes.reconcileSources.mock.calls[0]?.[0]).toMatchObject({ isNew: true });
  });
});
