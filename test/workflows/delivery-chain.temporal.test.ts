import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { taskQueues } from '../../domain/task-queues.ts';
import {
  chainInput,
  connectClient,
  digestOf,
  endless,
  fakeActivities,
  permanent,
  recordedStates,
  runChain,
  summaryOf,
  withWorkers,
  workflowIdOf,
} from '../support/chain-world.ts';
import { keepHistory } from '../support/histories.ts';

let client: Client;
beforeAll(async () => {
  client = await connectClient();
});
afterAll(() => client.connection.close());

describe('a run of a whole chain', () => {
  test('builds every architecture, moves the held tag after the scan, copies and calls by one digest', async () => {
    const fakes = fakeActivities();
    const input = chainInput();
    const end = await withWorkers(fakes, () => runChain(client, input));
    await keepHistory(client, workflowIdOf(input), 'success');

    expect(end).toMatchObject({
      result: 'success',
      steps: { build: 'success', push: 'success', scan: 'success', replicate: 'success', trigger: 'success' },
    });
    expect(end.reason.text).toMatch(/^Succeeded in .*: 1 tag, 1 copy, 1 trigger$/);
    expect(fakes.buildImage.mock.calls.map(([{ platform }]) => platform).toSorted()).toEqual([
      'linux/amd64',
      'linux/arm64',
    ]);
    expect(fakes.moveTags).toHaveBeenCalledTimes(1);
    expect(fakes.moveTags.mock.invocationCallOrder[0]).toBeGreaterThan(
      fakes.scanImage.mock.invocationCallOrder[1] ?? Infinity,
    );
    expect(fakes.replicateImage.mock.calls[0]?.[0]).toMatchObject({
      images: { digest: digestOf('c') },
      targets: [{ key: 'singapore/shop/web:latest' }],
    });
    expect(fakes.openDeliveries.mock.calls[0]?.[0]).toMatchObject({
      images: { digest: digestOf('c') },
      updates: [{ tag: 'latest' }],
    });
    expect(fakes.endRun.mock.calls.map(([{ result }]) => result)).toEqual(['success']);
  });

  test('without a scan the tag moves with the push', async () => {
    const fakes = fakeActivities();
    const input = chainInput();
    const end = await withWorkers(fakes, () => runChain(client, { ...input, chain: { ...input.chain, scan: null } }));

    expect(end.steps).toMatchObject({ push: 'success', scan: 'skipped', replicate: 'success' });
    expect(fakes.scanImage).not.toHaveBeenCalled();
    expect(fakes.moveTags).toHaveBeenCalledTimes(1);
  });

  test('started from an existing tag, it builds nothing and moves no tag', async () => {
    const fakes = fakeActivities();
    const end = await withWorkers(fakes, () =>
      runChain(client, chainInput({ origin: { kind: 'image', tag: 'v1', digest: digestOf('c') } })),
    );

    expect(end.steps).toMatchObject({
      build: 'skipped',
      push: 'success',
      scan: 'success',
      replicate: 'success',
      trigger: 'success',
    });
    expect(fakes.cloneSource).not.toHaveBeenCalled();
    expect(fakes.moveTags).not.toHaveBeenCalled();
    expect(fakes.replicateImage.mock.calls[0]?.[0]).toMatchObject({ targets: [{ key: 'singapore/shop/web:v1' }] });
  });

  test('tags that a newer run holds are neither copied nor announced, and the Record says so', async () => {
    const fakes = fakeActivities();
    fakes.moveTags.mockResolvedValue({ moved: [], fenced: [{ tag: 'latest', by: 9 }] });
    const end = await withWorkers(fakes, () => runChain(client, chainInput()));

    expect(end.result).toBe('success');
    expect(end.reason.text).toContain('1 tag not moved, a newer run holds it');
    expect(end.steps).toMatchObject({ replicate: 'skipped', trigger: 'skipped' });
    expect(fakes.replicateImage).not.toHaveBeenCalled();
    expect(fakes.sendTrigger).not.toHaveBeenCalled();
  });
});

describe('a scan', () => {
  test('that denies one architecture stops every later step, backs up, then deletes, and moves no tag', async () => {
    const fakes = fakeActivities();
    fakes.scanImage.mockImplementation(async ({ image }) =>
      summaryOf(image.platform, image.platform === 'linux/arm64' ? { high: 2 } : {}),
    );
    const input = chainInput();
    const end = await withWorkers(fakes, () => runChain(client, input));
    await keepHistory(client, workflowIdOf(input), 'denied');

    expect(end).toMatchObject({
      result: 'denied',
      reason: { code: 'scan.denied', text: 'Blocked: 2 findings at or above high (limit 1) in openssl' },
      steps: { scan: 'denied', replicate: 'skipped', trigger: 'skipped' },
    });
    expect(fakes.moveTags).not.toHaveBeenCalled();
    expect(fakes.replicateImage).not.toHaveBeenCalled();
    expect(fakes.sendTrigger).not.toHaveBeenCalled();
    expect(fakes.backUpImage.mock.invocationCallOrder[0]).toBeLessThan(
      fakes.deleteImage.mock.invocationCallOrder[0] ?? 0,
    );
    expect(fakes.deleteImage.mock.calls[0]?.[0]).toMatchObject({ digest: digestOf('c'), tags: [] });
  });

  test('that cannot be made never passes a blocking policy, however often it is retried', async () => {
    const fakes = fakeActivities();
    fakes.scanImage.mockRejectedValue(permanent('scan.engine_failed', 'trivy ended with exit code 2'));
    const end = await withWorkers(fakes, () => runChain(client, chainInput()));

    expect(end).toMatchObject({
      result: 'failed',
      reason: { code: 'scan.engine_failed' },
      steps: { scan: 'failed', replicate: 'skipped', trigger: 'skipped' },
    });
    expect(fakes.scanImage).toHaveBeenCalledTimes(4); // two architectures, one retry each
    expect(fakes.closeScan.mock.calls[0]?.[0]).toMatchObject({ verdict: 'error' });
    expect(fakes.moveTags).not.toHaveBeenCalled();
  });

  test('that cannot be made lets a non-blocking chain go on, and the Record says "not scanned"', async () => {
    const fakes = fakeActivities();
    fakes.scanImage.mockRejectedValue(permanent('scan.engine_failed', 'trivy ended with exit code 2'));
    const input = chainInput();
    const scan = input.chain.scan === null ? null : { ...input.chain.scan, strategy: 'non_blocking' as const };
    const end = await withWorkers(fakes, () => runChain(client, { ...input, chain: { ...input.chain, scan } }));

    expect(end).toMatchObject({
      result: 'success',
      reason: { code: 'run.success_not_scanned' },
      steps: { scan: 'failed', replicate: 'success', trigger: 'success' },
    });
    expect(end.reason.text).toContain('not scanned');
  });
});

describe('a failed step', () => {
  test.each([
    ['build', 'cloneSource', 'build.dockerfile_missing'],
    ['build', 'buildImage', 'build.step_failed'],
    ['push', 'assembleIndex', 'push.failed'],
    ['replicate', 'replicateImage', 'replication.unauthorized'],
  ] as const)(
    'in %s (%s) makes the run failed with its code, and later steps are not reached',
    async (step, activity, code) => {
      const fakes = fakeActivities();
      fakes[activity].mockRejectedValue(permanent(code, 'it cannot work'));
      const end = await withWorkers(fakes, () => runChain(client, chainInput()));

      expect(end).toMatchObject({ result: 'failed', reason: { code, text: `Failed in ${step}: it cannot work` } });
      expect(recordedStates(fakes)[step]).toBe('failed');
      expect(end.steps.trigger).toBe('skipped');
      expect(fakes.sendTrigger).not.toHaveBeenCalled();
    },
  );

  test('a fault that passes is tried again and leaves no trace in the result', async () => {
    const fakes = fakeActivities();
    fakes.replicateImage
      .mockRejectedValueOnce(new Error('connection refused'))
      .mockRejectedValueOnce(new Error('connection refused'));
    const end = await withWorkers(fakes, () => runChain(client, chainInput()));

    expect(end.result).toBe('success');
    expect(fakes.replicateImage).toHaveBeenCalledTimes(3);
  });

  test('one destination that fails does not stop the copy to another', async () => {
    const fakes = fakeActivities();
    const input = chainInput();
    const [rule] = input.chain.replicationRules;
    if (rule === undefined) throw new Error('the sample chain has a rule');
    const other = {
      id: 'crsr-2',
      definition: {
        ...rule.definition,
        name: 'north',
        destination: { ...rule.definition.destination, instance: 'beijing' },
      },
    };
    fakes.replicateImage.mockImplementation(async ({ targets }) => {
      if (targets[0]?.instance === 'singapore') throw permanent('replication.unauthorized', 'the login was refused');
      return { bytes: 10, blobs: { copied: 1, mounted: 0, skipped: 0 } };
    });
    const end = await withWorkers(fakes, () =>
      runChain(client, { ...input, chain: { ...input.chain, replicationRules: [rule, other] } }),
    );

    expect(end.result).toBe('failed');
    expect(fakes.replicateImage).toHaveBeenCalledTimes(2);
  });

  test('a run past its deadline ends as failed, not as canceled', async () => {
    const fakes = fakeActivities();
    fakes.buildImage.mockImplementation(endless(() => undefined));
    const input = chainInput();
    const end = await withWorkers(fakes, () =>
      runChain(client, { ...input, timings: { ...input.timings, deadlineMs: 1_500 } }),
    );

    expect(end).toMatchObject({ result: 'failed' });
    expect(['run.deadline', 'build.timeout']).toContain(end.reason.code);
  });
});

describe('canceling a run', () => {
  test.each([
    ['build', 'buildImage'],
    ['scan', 'scanImage'],
    ['replicate', 'replicateImage'],
  ] as const)('in %s stops the work, records canceled and starts nothing later', async (step, activity) => {
    const fakes = fakeActivities();
    const input = chainInput();
    const started = Promise.withResolvers<void>();
    fakes[activity].mockImplementation(endless(started.resolve));

    await withWorkers(fakes, async () => {
      const handle = await client.workflow.start('deliveryChain', {
        args: [input],
        taskQueue: taskQueues.chain,
        workflowId: workflowIdOf(input),
      });
      await started.promise;
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
      expect((await handle.describe()).status.name).toBe('CANCELLED');
    });

    await keepHistory(client, workflowIdOf(input), `canceled-in-${step}`);

    expect(recordedStates(fakes)[step]).toBe('canceled');
    expect(fakes.endRun.mock.calls.map(([{ result }]) => result)).toEqual(['canceled']);
    expect(fakes.sendTrigger).not.toHaveBeenCalled();
    expect(fakes.moveTags).toHaveBeenCalledTimes(step === 'replicate' ? 1 : 0);
  });
});

test('starting the same run twice is one run', async () => {
  const fakes = fakeActivities();
  const input = chainInput();
  await withWorkers(fakes, async () => {
    const start = () =>
      client.workflow.start('deliveryChain', {
        args: [input],
        taskQueue: taskQueues.chain,
        workflowId: workflowIdOf(input),
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
    const handles = await Promise.all(Array.from({ length: 20 }, start));
    await Promise.all(handles.map((handle) => handle.result()));
    await expect(start()).rejects.toThrow(/already started/i);
  });
  expect(fakes.startRun).toHaveBeenCalledTimes(1);
});
