import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HostDelivery } from '../../activities/drivers/source-host.ts';
import { insertInbox } from '../../db/repositories/inbox.ts';
import { insertSecret } from '../../db/repositories/secret.ts';
import { HostError } from '../../domain/source-host-error.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { at, createReconcileWorld, later, secretBox } from '../support/reconcile-world.ts';

const [a, b] = ['a'.repeat(40), 'b'.repeat(40)] as const;

let database: TestDatabase;
let world: ReturnType<typeof createReconcileWorld>;
beforeAll(async () => {
  database = await createTestDatabase();
  world = createReconcileWorld(database.db);
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.db.deleteFrom('source_binding').execute();
});

describe('a host that keeps its deliveries', () => {
  const attempt = (id: string, deliveryId: string, change: Partial<HostDelivery> = {}): HostDelivery => ({
    ...{ id, deliveryId, deliveredAt: '2026-11-21T11:58:00Z', event: 'push', isDelivered: false },
    ...change,
  });

  /** A source with a hook that Slipway installed, and a credential to ask by. */
  async function hookedSource() {
    const source = await world.newSource();
    const { db } = database;
    const ref = await insertSecret(db, secretBox, { ownerId: source.namespaceId, kind: 'source', value: 'sealed' });
    const { source_account_id } = await world.bindingOf(source);
    await db.updateTable('source_account').set({ credential_ref: ref }).where('id', '=', source_account_id).execute();
    await db.updateTable('source_binding').set({ hook_ref: 'hook-7' }).where('repository_id', '=', source.id).execute();
    await world.reconciler({ 'heads/main': a }).run();
    return source;
  }

  test('is asked to send again what never arrived, once a push was missed', async () => {
    const source = await hookedSource();
    const same = world.reconciler({ 'heads/main': a });
    await same.run(later(10));
    expect(same.deliveriesList).not.toHaveBeenCalled();

    await insertInbox(database.db, {
      ...{ hook_id: source.hookId, delivery_id: 'taken', repository_id: source.id, host: 'github', event: 'push' },
      ...{ body: null, state: 'handled', outcome: '{}', handled_at: at },
    });
    const moved = world.reconciler({ 'heads/main': b });
    moved.deliveriesList.mockResolvedValue([
      attempt('6', 'lost-2'),
      attempt('5', 'lost-1'),
      attempt('4', 'taken'),
      attempt('3', 'arrived', { isDelivered: true }),
      attempt('2', 'arrived'),
      attempt('1', 'a-ping', { event: 'ping' }),
    ]);
    expect(await moved.run(later(20))).toMatchObject({ missed: 1 });
    expect(moved.deliveryRedeliver.mock.calls.map(([, delivery]) => delivery)).toEqual([
      { hookRef: 'hook-7', id: '5' },
      { hookRef: 'hook-7', id: '6' },
    ]);
  });

  test('is not asked for ever for a delivery that does not get through', async () => {
    await hookedSource();
    const moved = world.reconciler({ 'heads/main': b });
    moved.deliveriesList.mockResolvedValue([attempt('3', 'lost'), attempt('2', 'lost'), attempt('1', 'lost')]);
    await moved.run(later(10));
    expect(moved.deliveryRedeliver).not.toHaveBeenCalled();
  });

  test('that will not is no failure: the ref tells what was pushed', async () => {
    await hookedSource();
    const moved = world.reconciler({ 'heads/main': b });
    moved.deliveriesList.mockRejectedValue(new HostError('forbidden', 'The credential may not read hooks.'));
    expect(await moved.run(later(10))).toEqual({ compared: 1, failed: 0, missed: 1 });
  });
});
