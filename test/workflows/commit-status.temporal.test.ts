import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { workflowIds } from '../../domain/run-id.ts';
import { taskQueues } from '../../domain/task-queues.ts';
import type { commitStatus } from '../../workflows/index.ts';
import { connectClient, fakeActivities, withWorkers } from '../support/chain-world.ts';
import { keepHistory } from '../support/histories.ts';

let client: Client;
beforeAll(async () => {
  client = await connectClient();
});
afterAll(() => client.connection.close());

const away = { isSettled: false, statusCode: 503, isTimeout: false, retryAfterMs: null };

function signal(statusId: string, ladderScale: number) {
  return client.workflow.signalWithStart<typeof commitStatus>('commitStatus', {
    workflowId: workflowIds.commitStatus(statusId),
    taskQueue: taskQueues.chain,
    args: [{ statusId, ladderScale }],
    signal: 'commitChanged',
    signalArgs: [],
  });
}

describe('the status of a commit', () => {
  test('is said once more for every change that came meanwhile, then is over', async () => {
    const fakes = fakeActivities();
    const statusId = randomUUID();
    await withWorkers(fakes, async () => (await signal(statusId, 1)).result());
    expect(fakes.sendCommitStatus.mock.calls[0]).toEqual([{ statusId }]);
    expect(fakes.sendCommitStatus.mock.calls.length).toBeLessThanOrEqual(2);
  });

  test('is tried again up the ladder while its host is away', async () => {
    const fakes = fakeActivities();
    fakes.sendCommitStatus.mockResolvedValueOnce(away).mockResolvedValueOnce(away);
    const statusId = randomUUID();
    await withWorkers(fakes, async () => (await signal(statusId, 0.00001)).result());
    await keepHistory(client, workflowIds.commitStatus(statusId), 'commit-status-retried');
    expect(fakes.sendCommitStatus.mock.calls.length).toBeGreaterThanOrEqual(3);
  });

  test('is given up at the end of the ladder, and fails nothing', async () => {
    const fakes = fakeActivities();
    fakes.sendCommitStatus.mockResolvedValue(away);
    await withWorkers(fakes, async () => (await signal(randomUUID(), 0.000001)).result());
    expect(fakes.sendCommitStatus.mock.calls.length).toBeGreaterThanOrEqual(10);
    expect(fakes.sendCommitStatus.mock.calls.length).toBeLessThanOrEqual(11);
  });

  test('that changes while its host is waited for is said at once', async () => {
    const fakes = fakeActivities();
    let isBack = false;
    fakes.sendCommitStatus.mockImplementation(async () => ({ ...away, isSettled: isBack }));
    const statusId = randomUUID();
    await withWorkers(fakes, async () => {
      // The ladder would wait for weeks; only a change moves it.
      const handle = await signal(statusId, 1_000_000);
      await vi.waitFor(() => expect(fakes.sendCommitStatus).toHaveBeenCalled(), { timeout: 20_000 });
      isBack = true;
      await signal(statusId, 1_000_000);
      await handle.result();
    });
    await keepHistory(client, workflowIds.commitStatus(statusId), 'commit-status-changed');
    expect(fakes.sendCommitStatus.mock.calls.length).toBeGreaterThanOrEqual(2);
  });
});
