import { Connection, type Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine, type Engine } from '../../api/engine.ts';
import type { DeliveryChainInput } from '../../domain/chain.ts';
import type { RunCause } from '../../domain/record.ts';
import { buildQueue } from '../../domain/task-queues.ts';
import {
  chainInput,
  connectClient,
  fakeActivities,
  withWorkers,
  workflowIdOf,
  testTemporal,
} from '../support/chain-world.ts';

/** `TASK_QUEUE_TYPE_ACTIVITY` of Temporal's API. */
const ACTIVITY_QUEUE = 2;

let client: Client;
let engine: Engine;
beforeAll(async () => {
  client = await connectClient();
  const { address, namespace } = testTemporal();
  engine = createEngine({ connection: await Connection.connect({ address }), namespace });
});
afterAll(async () => {
  await client.connection.close();
  await engine.close();
});

/** A build of one architecture, outside any scan, copy or trigger. */
function buildOf(namespaceId: string, cause: RunCause = 'source_push'): DeliveryChainInput {
  const input = chainInput({ cause });
  if (input.origin.kind !== 'source') throw new Error('the sample has a source');
  const rule = { ...input.origin.rule, architectures: ['linux/amd64' as const] };
  return {
    ...input,
    repository: { ...input.repository, namespaceId },
    origin: { ...input.origin, rule },
    chain: { ...input.chain, scan: null, isReplicateOn: false, isTriggerOn: false },
  };
}

/** How many builds stand in the queue. A run says that it waits for a worker a moment before the queue has its build. */
async function waitingBuilds(): Promise<number> {
  const { taskQueueStatus } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: buildQueue('cn-hangzhou', 'linux/amd64') },
    taskQueueType: ACTIVITY_QUEUE,
    includeTaskQueueStatus: true,
  });
  return Number(taskQueueStatus?.backlogCountHint);
}

/** The runs in the order in which the one worker takes them, once all of them wait behind a first build. */
async function orderOf(waiting: readonly DeliveryChainInput[]): Promise<readonly string[]> {
  const fakes = fakeActivities();
  const order: string[] = [];
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const build = fakes.buildImage.getMockImplementation();
  fakes.buildImage.mockImplementation(async (input) => {
    order.push(input.runId);
    begun.resolve();
    await release.promise;
    if (build === undefined) throw new Error('the fake builds');
    return build(input);
  });
  const first = buildOf('crn-first');
  await withWorkers(
    fakes,
    async () => {
      await engine.startRun(first, workflowIdOf(first));
      await begun.promise;
      const before = await waitingBuilds();
      for (const [index, input] of waiting.entries()) {
        await engine.startRun(input, workflowIdOf(input));
        await expect.poll(waitingBuilds, { timeout: 20_000 }).toBe(before + index + 1);
      }
      release.resolve();
      await Promise.all(waiting.map((input) => client.workflow.getHandle(workflowIdOf(input)).result()));
    },
    { buildSlots: 1 },
  );
  return order.slice(1);
}

test('one push of a namespace does not wait behind the ten another namespace pushed before', async () => {
  const many = Array.from({ length: 10 }, () => buildOf('crn-many'));
  const one = buildOf('crn-one');
  const order = await orderOf([...many, one]);
  expect(order).toHaveLength(11);
  expect(order.indexOf(one.runId)).toBeLessThan(4);
});

test('what a person started goes before pushes, and a rebuild for a base image after them', async () => {
  const mass = [buildOf('crn-a', 'base_image'), buildOf('crn-a', 'base_image')];
  const pushes = [buildOf('crn-a'), buildOf('crn-a', 'catch_up')];
  const manual = buildOf('crn-a', 'manual');
  const order = await orderOf([...mass, ...pushes, manual]);
  const places = (inputs: readonly DeliveryChainInput[]) => inputs.map(({ runId }) => order.indexOf(runId));
  expect(Math.max(...places([manual]))).toBeLessThan(Math.min(...places(pushes)));
  expect(Math.max(...places(pushes))).toBeLessThan(Math.min(...places(mass)));
});
