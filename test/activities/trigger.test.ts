import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../db/database.ts';
import { openSecret } from '../../db/repositories/secret.ts';
import { createTestDatabase } from '../support/database.ts';
import { newActivityEnvironment, runActivity } from '../support/run-activity.ts';
import {
  attemptRows,
  childRows,
  deliveryRow,
  newTriggerWorld,
  openOne,
  pointAt,
  send,
  triggerRow,
} from '../support/trigger-world.ts';

let db: Database;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ db, close } = await createTestDatabase());
});

afterAll(() => close());

test('a delivered message stands in the history with request and response, and verifies with the trigger’s secret', async () => {
  const world = await newTriggerWorld(db, (url) => [
    {
      name: 'deploy',
      url: `${url}/status/202?token=in-the-url`,
      headers: [{ name: 'Authorization', value: 'Bearer in-the-header' }],
    },
  ]);
  const id = await openOne(world);
  world.clock.now = new Date();
  expect(await send(world, id)).toEqual({
    statusCode: 202,
    isTimeout: false,
    retryAfterMs: null,
    isDelivered: true,
    isGone: false,
  });

  const [got] = world.zoo.received;
  const trigger = await triggerRow(world);
  const secret = await openSecret(db, world.run.secretBox, trigger.secret_ref);
  expect(() => new Webhook(secret).verify(got?.body ?? '', { ...got?.headers })).not.toThrow();
  expect(got?.headers['authorization']).toBe('Bearer in-the-header');

  const delivery = await deliveryRow(world, id);
  expect(delivery).toMatchObject({ status: 'delivered', reason: null, ended_at: world.clock.now });
  const attempts = await attemptRows(world, id);
  expect(attempts).toMatchObject([
    {
      number: 1,
      state: 'ended',
      status_code: 202,
      error_class: null,
      response_body: 'status 202',
      request_body: delivery.body,
      request_headers: { authorization: '***', 'webhook-id': delivery.webhook_id },
    },
  ]);
  expect(JSON.stringify(attempts)).not.toMatch(/in-the-url|in-the-header/);
  expect(await childRows(world)).toMatchObject([
    { state: 'success', result: { name: 'deploy', deliveries: [{ id, tag: 'v1', status: 'delivered' }] } },
  ]);
});

test('a rotated key signs beside the old one until the old one has run out', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/200` }]);
  const [triggerId] = world.run.triggers;
  const { secret_ref: secretRef } = await triggerRow(world);
  await db
    .updateTable('trigger')
    .set({ previous_secret_ref: secretRef, previous_secret_until: new Date('2026-11-22T10:00:00Z') })
    .where('id', '=', triggerId ?? '')
    .execute();
  const id = await openOne(world);
  await send(world, id);
  world.clock.now = new Date('2026-11-22T10:00:01Z');
  await send(world, id, { number: 2 });
  const signatures = world.zoo.received.map(({ headers }) => headers['webhook-signature']?.split(' ').length);
  expect(signatures).toEqual([2, 1]);
});

test('a failed attempt waits with the reason, and the next one keeps the webhook id', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/busy/30` }]);
  const id = await openOne(world);
  expect(await send(world, id)).toMatchObject({ statusCode: 429, retryAfterMs: 30_000, isDelivered: false });
  await runActivity(world.activities.setDelivery, {
    deliveryId: id,
    status: 'retrying',
    reason: null,
    nextAttemptAt: '2026-11-21T10:00:05.000Z',
  });
  expect(await deliveryRow(world, id)).toMatchObject({
    status: 'retrying',
    reason: { code: 'trigger.attempt_failed', text: 'The receiver answered 429' },
    next_attempt_at: new Date('2026-11-21T10:00:05.000Z'),
    ended_at: null,
  });
  expect(await childRows(world)).toMatchObject([{ state: 'running', reason: { text: 'The receiver answered 429' } }]);
  await send(world, id, { number: 2 });
  const ids = world.zoo.received.map(({ headers }) => headers['webhook-id']);
  expect(ids).toHaveLength(2);
  expect(new Set(ids).size).toBe(1);
});

test('a silent receiver is a timeout, which the ladder doubles', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/stall` }], { timeoutMs: 300 });
  const id = await openOne(world);
  expect(await send(world, id)).toMatchObject({ statusCode: null, isTimeout: true, isDelivered: false });
  expect(await attemptRows(world, id)).toMatchObject([{ error_class: 'timeout', response_body: null }]);
});

test('an attempt whose process died is told as unknown, and the message goes on under the same webhook id', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/stall` }], { timeoutMs: 1_000 });
  const id = await openOne(world);
  const environment = newActivityEnvironment();
  const dying = runActivity(world.activities.sendTrigger, { deliveryId: id, number: 1, resend: 0 }, environment);
  await world.zoo.waitFor(1);
  environment.cancel('WORKER_SHUTDOWN');
  await expect(dying).rejects.toThrow('WORKER_SHUTDOWN');
  expect(await attemptRows(world, id)).toMatchObject([{ number: 1, state: 'sending' }]);

  await send(world, id, { number: 2 });
  expect(await attemptRows(world, id)).toMatchObject([
    { number: 1, state: 'ended', error_class: 'unknown' },
    { number: 2, state: 'ended', error_class: 'timeout' },
  ]);
  const [first, second] = world.zoo.received;
  expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
});

test('410 disables the trigger at once, with a notice on the run, and stops its other messages', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/410` }]);
  const { deliveries } = await runActivity(world.activities.openDeliveries, world.input);
  const [first, second] = deliveries.map(({ id }) => id);
  expect(await send(world, first ?? '')).toMatchObject({ statusCode: 410, isGone: true, isDelivered: false });
  expect(await triggerRow(world)).toMatchObject({
    enabled: false,
    disabled_reason: { code: 'trigger.gone' },
  });
  expect(await send(world, second ?? '')).toMatchObject({ isGone: true });
  expect(world.zoo.received).toHaveLength(1);

  const gone = { code: 'trigger.gone', params: {}, text: 'as the workflow words it' };
  await runActivity(world.activities.setDelivery, {
    deliveryId: second ?? '',
    status: 'failed',
    reason: gone,
    nextAttemptAt: null,
  });
  expect((await deliveryRow(world, second ?? '')).reason?.text).toContain('410 Gone');
  const events = await db
    .selectFrom('run_event')
    .select('data')
    .where('run_id', '=', world.run.runId)
    .where('type', '=', 'trigger.disabled')
    .execute();
  expect(events).toMatchObject([{ data: { name: 'deploy', reason: { code: 'trigger.gone' } } }]);
});

test('five days of only failures disable the trigger; one success in between starts them anew', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/500` }]);
  const id = await openOne(world);
  const at = async (days: number, number: number) => {
    world.clock.now = new Date(Date.parse('2026-11-21T10:00:00Z') + days * 24 * 3_600_000);
    return send(world, id, { number, resend: 1 });
  };
  await at(0, 1);
  await at(0.1, 2);
  await at(4.9, 3);
  expect(await triggerRow(world)).toMatchObject({ enabled: true, failing_since: new Date('2026-11-21T10:00:00Z') });

  await pointAt(world, `${world.zoo.url}/status/200`);
  await at(4.95, 4);
  expect(await triggerRow(world)).toMatchObject({ enabled: true, first_failure_at: null, failing_since: null });

  await pointAt(world, `${world.zoo.url}/status/500`);
  await at(6, 5);
  await at(6.5, 6);
  await at(11, 7);
  expect(await triggerRow(world)).toMatchObject({
    enabled: false,
    disabled_reason: { code: 'trigger.worn_out', params: { since: '2026-11-27T10:00:00.000Z' } },
  });
});

test('a run calls its triggers as they were at its start; a resend goes where the trigger points now', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/500` }]);
  const id = await openOne(world);
  await pointAt(world, `${world.zoo.url}/status/201`);
  expect(await send(world, id)).toMatchObject({ statusCode: 500 });
  expect(await send(world, id, { number: 2, resend: 1 })).toMatchObject({ statusCode: 201, isDelivered: true });
  const [first, second] = world.zoo.received;
  expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
  expect(second?.body).toBe(first?.body);
});

test('a trigger switched off or deleted in mid-run gets no further attempts', async () => {
  const world = await newTriggerWorld(db, (url) => [
    { name: 'off', url: `${url}/status/500` },
    { name: 'deleted', url: `${url}/status/500` },
  ]);
  const { deliveries } = await runActivity(world.activities.openDeliveries, world.input);
  const [off, deleted] = world.run.triggers.map(
    (triggerId) => deliveries.find((each) => each.triggerId === triggerId)?.id,
  );
  await send(world, off ?? '');
  await db
    .updateTable('trigger')
    .set({ enabled: false })
    .where('id', '=', world.run.triggers[0] ?? '')
    .execute();
  await db
    .deleteFrom('trigger')
    .where('id', '=', world.run.triggers[1] ?? '')
    .execute();
  expect(await send(world, off ?? '', { number: 2 })).toMatchObject({ isGone: true });
  expect(await send(world, deleted ?? '')).toMatchObject({ isGone: true });
  expect(world.zoo.received).toHaveLength(1);
});

test('at most two calls of one trigger are under way at once', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/slow/20` }]);
  const updates = Array.from({ length: 8 }, (_, index) => ({ tag: `v${index}`, previousDigest: null, sequence: 1 }));
  const { deliveries } = await runActivity(world.activities.openDeliveries, { ...world.input, updates });
  const ends = await Promise.all(deliveries.map(({ id }) => send(world, id)));
  expect(ends.every((end) => end.isDelivered)).toBe(true);
  expect(world.zoo.mostAtOnce()).toBeLessThanOrEqual(2);
});
