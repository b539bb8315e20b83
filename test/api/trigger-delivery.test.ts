import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { newUuid } from '../../db/new-id.ts';
import { endAttempt, startAttempt } from '../../db/repositories/delivery.ts';
import { insertDelivery } from '../../db/repositories/delivery-read.ts';
import { AppError } from '../../domain/errors.ts';
import type { DeliveryStatus } from '../../domain/trigger.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedRepository, seedTrigger } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  vi.mocked(world.deps.engine.startDelivery).mockReset().mockResolvedValue();
});

const away = new AppError(503, 'temporal.unreachable', 'away', { extra: { retryAfterSeconds: 5 } });

async function seed(definition: object = {}) {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  const url = 'https://deploy.example.com/hook';
  const triggerId = await seedTrigger(world.deps.db, world.deps.secretBox, repository, {
    name: 'deploy',
    url,
    ...definition,
  });
  return { repository, triggerId };
}

/** A delivery of the trigger with one failed attempt. */
async function seedDelivery(triggerId: string, status: DeliveryStatus, tag = 'v1') {
  const at = world.clock();
  const id = newUuid(at);
  const row = {
    id,
    trigger_id: triggerId,
    run_id: null,
    webhook_id: 'msg_1',
    event: 'image.updated' as const,
    tag,
    digest: 'sha256:d',
  };
  await insertDelivery(world.deps.db, {
    ...row,
    body: '{"a":1}',
    status: 'waiting',
    reason: JSON.stringify(null),
    next_attempt_at: at,
    created_at: at,
    ended_at: null,
  });
  await startAttempt(world.deps.db, {
    deliveryId: id,
    number: 1,
    requestHeaders: { 'webhook-id': 'msg_1' },
    requestBody: '{"a":1}',
    at,
  });
  const reason = { code: 'trigger.status', params: { statusCode: 500 }, text: 'The receiver answered 500' };
  const result = {
    statusCode: 500,
    errorClass: null,
    durationMs: 12,
    responseHeaders: { server: 'x' },
    responseBody: 'no',
  };
  await endAttempt(
    world.deps.db,
    { delivery: row, number: 1 },
    { result, verdict: { isDelivered: false, reason, goneReason: null, isReceiversFault: true }, at },
  );
  await world.deps.db.updateTable('delivery').set({ status, ended_at: at }).where('id', '=', id).execute();
  return id;
}

describe('a delivery', () => {
  it('is shown with every request and response', async () => {
    const { triggerId } = await seed();
    const id = await seedDelivery(triggerId, 'failed');
    expect((await world.call('GET', `/v1/deliveries/${id}`)).body).toMatchObject({
      id,
      trigger: triggerId,
      run: null,
      status: 'failed',
      reason: { text: 'The receiver answered 500' },
      webhookId: 'msg_1',
      event: 'image.updated',
      tag: 'v1',
      attempts: [
        {
          number: 1,
          state: 'ended',
          durationMs: 12,
          statusCode: 500,
          errorClass: null,
          requestHeaders: { 'webhook-id': 'msg_1' },
          requestBody: '{"a":1}',
          responseHeaders: { server: 'x' },
          responseBody: 'no',
        },
      ],
      nextAttemptAt: null,
    });
  });

  it('is listed under its trigger, newest first, by pages', async () => {
    const { triggerId } = await seed();
    for (const tag of ['v1', 'v2', 'v3']) {
      await seedDelivery(triggerId, 'delivered', tag);
      world.passTime(1_000);
    }
    const first = await world.call('GET', `/v1/triggers/${triggerId}/deliveries?limit=2`);
    expect(first.body?.['items']).toMatchObject([{ tag: 'v3' }, { tag: 'v2' }]);
    const next = await world.call(
      'GET',
      `/v1/triggers/${triggerId}/deliveries?cursor=${String(first.body?.['nextCursor'])}`,
    );
    expect(next.body).toMatchObject({ items: [{ tag: 'v1' }], nextCursor: null });
  });

  it.each(['failed', 'delivered', 'canceled'] as const)(
    'that is %s is sent again under the same webhook-id, its attempts counted on',
    async (status) => {
      const { triggerId } = await seed();
      const id = await seedDelivery(triggerId, status);
      const answer = await world.call('POST', `/v1/deliveries/${id}/resend`, { body: {} });
      expect(answer).toMatchObject({ status: 202, body: { id, status: 'waiting', webhookId: 'msg_1', resends: 1 } });
      expect(world.deps.engine.startDelivery).toHaveBeenCalledWith({
        deliveryId: id,
        resend: 1,
        firstAttempt: 2,
        ladderScale: 1,
      });
    },
  );

  it.each([
    ['retrying', 'delivery.not_ended'],
    ['untriggered', 'delivery.untriggered'],
  ] as const)('that is %s is not sent again', async (status, code) => {
    const { triggerId } = await seed();
    const id = await seedDelivery(triggerId, status);
    expect(await world.call('POST', `/v1/deliveries/${id}/resend`)).toMatchObject({ status: 409, body: { code } });
    expect(world.deps.engine.startDelivery).not.toHaveBeenCalled();
  });

  it('stays as it was when Temporal is away', async () => {
    const { triggerId } = await seed();
    const id = await seedDelivery(triggerId, 'failed');
    vi.mocked(world.deps.engine.startDelivery).mockRejectedValue(away);
    expect(await world.call('POST', `/v1/deliveries/${id}/resend`)).toMatchObject({ status: 503 });
    expect((await world.call('GET', `/v1/deliveries/${id}`)).body).toMatchObject({
      status: 'failed',
      nextAttemptAt: null,
    });
  });

  it('nobody knows is 404, without a login 401', async () => {
    expect(await world.call('GET', '/v1/deliveries/none')).toMatchObject({
      status: 404,
      body: { code: 'delivery.not_found' },
    });
    expect(await world.call('GET', '/v1/triggers/none/deliveries')).toMatchObject({
      status: 404,
      body: { code: 'trigger.not_found' },
    });
    expect((await world.call('GET', '/v1/deliveries/none', { isLoggedIn: false })).status).toBe(401);
    expect((await world.call('POST', '/v1/triggers/none/test', { isLoggedIn: false })).status).toBe(401);
  });
});

describe('a test message', () => {
  it.each([
    ['standard', { type: 'test', data: { tag: 'test', run: null } }],
    ['acr', { push_data: { tag: 'test' }, repository: { name: 'app' } }],
  ])('in the form %s is sent once by the engine and kept like any delivery', async (format, body) => {
    const { repository, triggerId } = await seed({ format });
    const answer = await world.call('POST', `/v1/triggers/${triggerId}/test`, { body: {} });
    expect(answer).toMatchObject({
      status: 202,
      body: { trigger: triggerId, event: 'test', status: 'waiting', attempts: [] },
    });
    const id = String(answer.body?.['id']);
    expect(answer.headers.get('location')).toBe(`/v1/deliveries/${id}`);
    expect(world.deps.engine.startDelivery).toHaveBeenCalledWith({
      deliveryId: id,
      resend: 0,
      firstAttempt: 1,
      ladderScale: 1,
    });
    const row = await world.deps.db.selectFrom('delivery').select('body').where('id', '=', id).executeTakeFirst();
    expect(JSON.parse(row?.body ?? '')).toMatchObject(body);
    expect(row?.body).toContain(repository.namespace);
  });

  it('of a disabled trigger is refused', async () => {
    const { triggerId } = await seed({ enabled: false });
    expect(await world.call('POST', `/v1/triggers/${triggerId}/test`)).toMatchObject({
      status: 409,
      body: { code: 'trigger.disabled' },
    });
  });

  it('leaves nothing when Temporal is away', async () => {
    const { triggerId } = await seed();
    vi.mocked(world.deps.engine.startDelivery).mockRejectedValue(away);
    expect(await world.call('POST', `/v1/triggers/${triggerId}/test`)).toMatchObject({ status: 503 });
    expect((await world.call('GET', `/v1/triggers/${triggerId}/deliveries`)).body).toMatchObject({ items: [] });
  });
});
