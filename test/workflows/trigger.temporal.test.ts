import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chainInput, connectClient, fakeActivities, runChain, withWorkers } from '../support/chain-world.ts';
import { keepHistory } from '../support/histories.ts';

let client: Client;
beforeAll(async () => {
  client = await connectClient();
});
afterAll(() => client.connection.close());

describe('a trigger', () => {
  test('is tried again up the ladder under one delivery, and an answer of 2xx ends it', async () => {
    const fakes = fakeActivities();
    fakes.sendTrigger.mockResolvedValueOnce({
      statusCode: 500,
      isTimeout: false,
      retryAfterMs: null,
      isDelivered: false,
      isGone: false,
    });
    const end = await withWorkers(fakes, () => runChain(client, chainInput()));
    await keepHistory(client, `trigger/${fakes.sendTrigger.mock.calls[0]?.[0].deliveryId}`, 'delivery-retried');

    expect(end.result).toBe('success');
    expect(fakes.sendTrigger.mock.calls.map(([{ number }]) => number)).toEqual([1, 2]);
    expect(new Set(fakes.sendTrigger.mock.calls.map(([{ deliveryId }]) => deliveryId)).size).toBe(1);
    expect(fakes.setDelivery.mock.calls.map(([{ status }]) => status)).toEqual(['retrying', 'delivered']);
  });

  test('answered 410 is not tried again and fails the step', async () => {
    const fakes = fakeActivities();
    fakes.sendTrigger.mockResolvedValue({
      statusCode: 410,
      isTimeout: false,
      retryAfterMs: null,
      isDelivered: false,
      isGone: true,
    });
    const end = await withWorkers(fakes, () => runChain(client, chainInput()));

    expect(end).toMatchObject({ result: 'failed', reason: { code: 'trigger.not_delivered' } });
    expect(fakes.sendTrigger).toHaveBeenCalledTimes(1);
  });

  test('that never answers is given up after ten attempts', async () => {
    const fakes = fakeActivities();
    fakes.sendTrigger.mockResolvedValue({
      statusCode: null,
      isTimeout: true,
      retryAfterMs: null,
      isDelivered: false,
      isGone: false,
    });
    const input = chainInput();
    const end = await withWorkers(fakes, () =>
      runChain(client, {
        ...input,
        timings: { ...input.timings, triggerLadderScale: 0.000_000_1, triggerWaitMs: 30_000 },
      }),
    );

    await keepHistory(client, `trigger/${fakes.sendTrigger.mock.calls[0]?.[0].deliveryId}`, 'delivery-given-up');

    expect(end.reason.code).toBe('trigger.not_delivered');
    expect(fakes.sendTrigger.mock.calls.map(([{ number }]) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(fakes.setDelivery.mock.calls.at(-1)?.[0]).toMatchObject({
      status: 'failed',
      reason: { code: 'trigger.exhausted' },
    });
  });

  test('still unanswered when the step has waited long enough fails the step, and its retries go on', async () => {
    const fakes = fakeActivities();
    fakes.sendTrigger.mockResolvedValueOnce({
      statusCode: 500,
      isTimeout: false,
      retryAfterMs: null,
      isDelivered: false,
      isGone: false,
    });
    const input = chainInput();
    await withWorkers(fakes, async () => {
      const end = await runChain(client, {
        ...input,
        timings: { ...input.timings, triggerLadderScale: 0.4, triggerWaitMs: 200 },
      });
      expect(end).toMatchObject({ result: 'failed', reason: { code: 'trigger.not_delivered' } });
      const delivery = fakes.sendTrigger.mock.calls[0]?.[0].deliveryId ?? '';
      await expect(client.workflow.getHandle(`trigger/${delivery}`).result()).resolves.toEqual({ status: 'delivered' });
    });
    expect(fakes.sendTrigger).toHaveBeenCalledTimes(2);
  });
});
