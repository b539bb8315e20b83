import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createEngine } from '../../api/engine.ts';
import type { Engine } from '../../api/engine.ts';
import { workflowIds } from '../../domain/run-id.ts';
import { chainInput, testTemporal } from '../support/chain-world.ts';

let engine: Engine;
let client: Client;
beforeAll(() => {
  const { address, namespace } = testTemporal();
  const connection = Connection.lazy({ address });
  engine = createEngine({ connection, namespace });
  client = new Client({ connection, namespace });
});
afterAll(() => engine.close());

it('starts a run once, however often it is asked, also after it has ended', async () => {
  const workflowId = `chain/test/${randomUUID()}`;
  const first = await engine.startRun(chainInput(), workflowId);
  expect(first.workflowRunId).not.toBeNull();
  expect(await engine.startRun(chainInput(), workflowId)).toEqual(first);
  await client.workflow.getHandle(workflowId).terminate();
  expect(await engine.startRun(chainInput(), workflowId)).toEqual({ workflowRunId: null });
});

it('starts with the attributes an operator searches by', async () => {
  const workflowId = `chain/test/${randomUUID()}`;
  await engine.startRun(chainInput(), workflowId);
  const { searchAttributes } = await client.workflow.getHandle(workflowId).describe();
  expect(searchAttributes).toMatchObject({
    SlipwayInstance: ['hangzhou'],
    SlipwayNamespace: ['shop'],
    SlipwayRepository: ['shop/web'],
    SlipwayChainId: ['chi-1'],
  });
  await client.workflow.getHandle(workflowId).terminate();
});

it('asks a run to cancel, and says when there is none', async () => {
  const workflowId = `chain/test/${randomUUID()}`;
  expect(await engine.cancelRun(workflowId)).toBe('not_found');
  await engine.startRun(chainInput(), workflowId);
  expect(await engine.cancelRun(workflowId)).toBe('canceling');
  await client.workflow.getHandle(workflowId).terminate();
});

it('has nothing to cancel in a run that has ended', async () => {
  const workflowId = `chain/test/${randomUUID()}`;
  await engine.startRun(chainInput(), workflowId);
  await client.workflow.getHandle(workflowId).terminate();
  expect(await engine.cancelRun(workflowId)).toBe('not_found');
});

it('starts a delivery under its own id, once per resend', async () => {
  const deliveryId = randomUUID();
  const input = { deliveryId, resend: 1, firstAttempt: 2, ladderScale: 1 };
  await engine.startDelivery(input);
  await engine.startDelivery(input);
  const handle = client.workflow.getHandle(workflowIds.delivery(deliveryId, 1));
  expect((await handle.describe()).type).toBe('triggerDelivery');
  await handle.terminate();
});

it('says within its time that Temporal is away', async () => {
  const away = createEngine({ connection: Connection.lazy({ address: '127.0.0.1:1' }), namespace: 'none' });
  expect(await away.isReachable()).toBe(false);
  await expect(away.cancelRun('none')).rejects.toMatchObject({ status: 503, code: 'temporal.unreachable' });
  await away.close();
  expect(await engine.isReachable()).toBe(true);
});
