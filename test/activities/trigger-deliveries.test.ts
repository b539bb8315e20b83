import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../db/database.ts';

import { createTestDatabase } from '../support/database.ts';
import { runActivity } from '../support/run-activity.ts';
import { childRows, deliveryRow, newTriggerWorld, openOne, send } from '../support/trigger-world.ts';

let db: Database;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ db, close } = await createTestDatabase());
});

afterAll(() => close());

test('every condition meets every updated tag: what fires becomes a delivery, what does not is listed with the reason', async () => {
  const world = await newTriggerWorld(db, (url) => [
    { name: 'all', url: `${url}/status/200` },
    { name: 'regexp', url: `${url}/status/200`, condition: { kind: 'regexp', regexp: 'v[0-9]+' } },
    { name: 'tags', url: `${url}/status/200`, condition: { kind: 'tags', tags: ['stable'] } },
  ]);
  const [all, regexp, tags] = world.run.triggers;
  const opened = await runActivity(world.activities.openDeliveries, world.input);
  expect(opened.deliveries.map(({ triggerId, tag }) => [triggerId, tag])).toEqual(
    expect.arrayContaining([
      [all, 'v1'],
      [all, 'latest'],
      [regexp, 'v1'],
    ]),
  );
  expect(opened).toMatchObject({ untriggered: 3, deliveries: { length: 3 } });

  const listed = await db
    .selectFrom('delivery')
    .select(['trigger_id', 'tag', 'reason'])
    .where('run_id', '=', world.run.runId)
    .where('status', '=', 'untriggered')
    .execute();
  expect(listed.find((row) => row.trigger_id === regexp)?.reason?.text).toBe(
    'Not called for the tag latest: it does not match v[0-9]+',
  );
  expect(listed.filter((row) => row.trigger_id === tags)).toHaveLength(2);
  const children = await childRows(world);
  expect(children.map(({ key, state }) => [key, state])).toEqual(
    expect.arrayContaining([
      [all, 'running'],
      [regexp, 'running'],
      [tags, 'skipped'],
    ]),
  );
});

test('opening twice changes nothing: same deliveries, same webhook ids, same bodies', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/200` }]);
  const first = await runActivity(world.activities.openDeliveries, world.input);
  const rows = await Promise.all(first.deliveries.map(({ id }) => deliveryRow(world, id)));
  world.clock.now = new Date('2026-11-21T11:00:00Z');
  const second = await runActivity(world.activities.openDeliveries, world.input);
  expect(second).toEqual(first);
  expect(await Promise.all(second.deliveries.map(({ id }) => deliveryRow(world, id)))).toEqual(rows);
  expect(new Set(rows.map((row) => row.webhook_id)).size).toBe(2);
  for (const row of rows) expect(row.webhook_id).toMatch(/^msg_[0-9a-f]{32}$/);
});

test('the body says what was updated, in the form of the trigger', async () => {
  const world = await newTriggerWorld(db, (url) => [
    { name: 'standard', url: `${url}/status/200` },
    { name: 'acr', url: `${url}/status/200`, format: 'acr' },
  ]);
  const { deliveries } = await runActivity(world.activities.openDeliveries, world.input);
  const rows = await Promise.all(deliveries.map(({ id }) => deliveryRow(world, id)));
  const bodyOf = (triggerId: string | undefined) =>
    JSON.parse(rows.find((row) => row.trigger_id === triggerId && row.tag === 'latest')?.body ?? '');
  const { repository, runId, images } = world.run;
  expect(bodyOf(world.run.triggers[0])).toEqual({
    type: 'image.updated',
    timestamp: '2026-11-21T10:00:00.000Z',
    data: {
      instance: repository.instance,
      region: 'cn-hangzhou',
      namespace: repository.namespace,
      repository: 'app',
      tag: 'latest',
      digest: images.digest,
      previousDigest: `sha256:${'d'.repeat(64)}`,
      architectures: ['linux/amd64', 'linux/arm64'],
      commit: null,
      run: runId,
      sequence: 5,
    },
  });
  expect(bodyOf(world.run.triggers[1])).toMatchObject({
    push_data: { tag: 'latest', pushed_at: '2026-11-21 18:00:00' },
    repository: { repo_full_name: `${repository.namespace}/app`, repo_type: 'PRIVATE' },
  });
});

test('a trigger deleted before the step is shown as such and holds nothing up', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/200` }]);
  await db
    .deleteFrom('trigger')
    .where('id', '=', world.run.triggers[0] ?? '')
    .execute();
  expect(await runActivity(world.activities.openDeliveries, world.input)).toEqual({ deliveries: [], untriggered: 0 });
  expect(await childRows(world)).toMatchObject([{ state: 'skipped', reason: { code: 'trigger.deleted' } }]);
});

test('what arrives after the step has failed is shown as delivered late', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/200` }]);
  const id = await openOne(world);
  await db.updateTable('run_step_child').set({ state: 'failed' }).where('run_id', '=', world.run.runId).execute();
  await send(world, id);
  expect(await childRows(world)).toMatchObject([{ state: 'success', reason: { code: 'trigger.delivered_late' } }]);
});

test('deliveries of one trigger that end side by side leave its true state on the Record', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/200` }]);
  const updates = Array.from({ length: 12 }, (_, index) => ({ tag: `v${index}`, previousDigest: null, sequence: 1 }));
  const { deliveries } = await runActivity(world.activities.openDeliveries, { ...world.input, updates });
  await Promise.all(deliveries.map(({ id }) => send(world, id)));
  expect((await childRows(world)).map(({ state }) => state)).toEqual(['success']);
});

test('only an open delivery can be canceled', async () => {
  const world = await newTriggerWorld(db, (url) => [{ name: 'deploy', url: `${url}/status/200` }]);
  const { deliveries } = await runActivity(world.activities.openDeliveries, world.input);
  const [sent, open] = deliveries.map(({ id }) => id);
  await send(world, sent ?? '');
  for (const deliveryId of [sent ?? '', open ?? ''])
    await runActivity(world.activities.setDelivery, {
      deliveryId,
      status: 'canceled',
      reason: null,
      nextAttemptAt: null,
    });
  expect((await deliveryRow(world, sent ?? '')).status).toBe('delivered');
  expect((await deliveryRow(world, open ?? '')).status).toBe('canceled');
});
