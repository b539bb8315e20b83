import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { insertInbox } from '../../db/repositories/inbox.ts';
import { updateSourceBinding } from '../../db/repositories/source-binding.ts';
import { SourceError } from '../../domain/source-error.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { createReconcileWorld, later } from '../support/reconcile-world.ts';
import { seedBuildRule } from '../support/seed.ts';
const [a, b, c] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)] as const;

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

describe('comparing bound sources', () => {
  test('the first look takes what is there as the base and starts nothing', async () => {
    const source = await world.newSource();
    expect(await world.reconciler({ 'heads/main': a, 'tags/v1': a }).run()).toEqual({
      compared: 1,
      failed: 0,
      missed: 0,
    });
    expect(await world.seenOf(source)).toEqual({ 'heads/main': a, 'tags/v1': a });
    expect(await world.inboxOf(source)).toEqual([]);
    expect((await world.bindingOf(source)).reconciled_at).not.toBeNull();
  });

  test('a push nobody told of goes into the inbox once, however often it is found', async () => {
    const source = await world.newSource();
    await world.reconciler({ 'heads/main': a }).run();
    const moved = world.reconciler({ 'heads/main': b, 'tags/v1': c });
    expect(await moved.run(later(10))).toEqual({ compared: 1, failed: 0, missed: 2 });
    expect(await moved.run(later(20))).toEqual({ compared: 1, failed: 0, missed: 0 });
    expect(await world.inboxOf(source)).toEqual([
      {
        delivery: `poll:heads/main:${b}:0`,
        cause: 'catch_up',
        event: 'catch_up',
        host: 'git',
        push: { ref: 'refs/heads/main', before: a, after: b },
      },
      {
        delivery: `poll:tags/v1:${c}:0`,
        cause: 'catch_up',
        event: 'catch_up',
        host: 'git',
        push: { ref: 'refs/tags/v1', after: c },
      },
    ]);
  });

  test('a ref that nothing builds is taken note of, and a rule made later does not build it', async () => {
    const source = await world.newSource();
    await world.reconciler({ 'heads/main': a }).run();
    await world.reconciler({ 'heads/main': a, 'heads/docs': b }).run(later(10));
    await seedBuildRule(database.db, source.id, {
      ref: { type: 'branch', name: 'docs' },
      imageTags: [{ template: 'docs' }],
    });
    expect(await world.reconciler({ 'heads/main': a, 'heads/docs': b }).run(later(20))).toMatchObject({ missed: 0 });
    expect(await world.seenOf(source)).toEqual({ 'heads/main': a, 'heads/docs': b });
  });

  test('while automatic builds are off nothing is missed, also not once they are on again', async () => {
    const source = await world.newSource({ isAutoBuild: false });
    await world.reconciler({ 'heads/main': a }).run();
    await world.reconciler({ 'heads/main': b }).run(later(10));
    await database.db.updateTable('repository').set({ is_auto_build: true }).where('id', '=', source.id).execute();
    expect(await world.reconciler({ 'heads/main': b }).run(later(20))).toMatchObject({ missed: 0 });
  });

  test('a deleted ref is forgotten, and built when it comes back at the same commit', async () => {
    const source = await world.newSource();
    await world.reconciler({ 'heads/main': a, 'tags/v1': a }).run();
    await world.reconciler({ 'heads/main': a }).run(later(10));
    expect(await world.seenOf(source)).toEqual({ 'heads/main': a, 'tags/v1': null });
    expect(await world.reconciler({ 'heads/main': a, 'tags/v1': a }).run(later(20))).toMatchObject({ missed: 1 });
  });

  test('what a delivery told of while the refs were compared is left to it', async () => {
    const source = await world.newSource();
    await world.reconciler({ 'heads/main': a }).run();
    const late = world.reconciler({ 'heads/main': b });
    late.refsList.mockImplementationOnce(async () => {
      await insertInbox(database.db, {
        hook_id: source.hookId,
        delivery_id: 'told',
        repository_id: source.id,
        host: 'github',
        event: 'push',
        body: Buffer.from(''),
        state: 'pending',
        outcome: null,
        handled_at: null,
      });
      return [{ ref: 'main', refType: 'branch', commit: b, objectId: b }];
    });
    expect(await late.run(later(10))).toMatchObject({ missed: 0 });
  });

  test('bound to other code, its refs are a new base', async () => {
    const source = await world.newSource();
    await world.reconciler({ 'heads/main': a }).run();
    const { source_account_id } = await world.bindingOf(source);
    await updateSourceBinding(database.db, source.id, {
      source_account_id,
      code_namespace: 'acme',
      code_repository: 'other',
    });
    expect(await world.reconciler({ 'heads/main': b }).run(later(10))).toMatchObject({ compared: 1, missed: 0 });
    expect(await world.seenOf(source)).toEqual({ 'heads/main': b });
  });

  test('bound to other code while it was compared, nothing of the old code is kept', async () => {
    const source = await world.newSource();
    const slow = world.reconciler({ 'heads/main': a });
    slow.refsList.mockImplementationOnce(async () => {
      const { source_account_id } = await world.bindingOf(source);
      const code = { source_account_id, code_namespace: 'acme', code_repository: 'other' };
      await updateSourceBinding(database.db, source.id, code);
      return [{ ref: 'main', refType: 'branch', commit: a, objectId: a }];
    });
    await slow.run();
    expect(await world.seenOf(source)).toEqual({});
    expect((await world.bindingOf(source)).reconciled_at).toBeNull();
  });

  test('a round that only looks at new bindings leaves the others alone', async () => {
    await world.newSource();
    await world.reconciler({}).run();
    const fresh = await world.newSource();
    const { refsList, run } = world.reconciler({ 'heads/main': a });
    await run({ ...later(1), isNew: true });
    expect(refsList).toHaveBeenCalledTimes(1);
    expect(await world.seenOf(fresh)).toEqual({ 'heads/main': a });
  });

  test('an attempt after a lost one goes on with what was not looked at yet', async () => {
    await world.newSource();
    await world.newSource();
    const first = world.reconciler({});
    first.refsList.mockImplementationOnce(async () => []).mockRejectedValueOnce(new Error('a defect'));
    await expect(first.run()).rejects.toThrow('a defect');
    const second = world.reconciler({});
    await second.run();
    expect(second.refsList).not.toHaveBeenCalled();
  });
});

describe('a source that cannot be compared', () => {
  const down = new SourceError('source.not_reachable', 'The source host is down.');

  test('says why on its binding, until it can', async () => {
    const source = await world.newSource();
    expect(await world.reconciler(down).run()).toEqual({ compared: 0, failed: 1, missed: 0 });
    expect(await world.bindingOf(source)).toMatchObject({
      reconciled_at: null,
      reconcile_error: { code: 'source.not_reachable', params: {}, text: 'The source host is down.' },
    });
    await world.reconciler({ 'heads/main': a }).run(later(10));
    expect(await world.bindingOf(source)).toMatchObject({ reconcile_error: null, reconciled_at: expect.any(Date) });
  });

  test('after three in a row its host is left alone for the rest of the round; other hosts are compared', async () => {
    const sources = [];
    for (let index = 0; index < 8; index += 1) sources.push(await world.newSource());
    const other = await world.newSource();
    const { source_account_id } = await world.bindingOf(other);
    await database.db
      .updateTable('source_account')
      .set({ base_url: 'https://elsewhere.example.com' })
      .where('id', '=', source_account_id)
      .execute();
    const { refsList, run } = world.reconciler({});
    refsList.mockImplementation(async (url) => {
      if (!url.includes('elsewhere')) throw down;
      return [{ ref: 'main', refType: 'branch', commit: a, objectId: a }];
    });
    expect(await run()).toEqual({ compared: 1, failed: 8, missed: 0 });
    expect(refsList.mock.calls.filter(([url]) => !url.includes('elsewhere')).length).toBeLessThanOrEqual(4);
    expect(await world.seenOf(other)).toEqual({ 'heads/main': a });
    for (const source of sources)
      expect((await world.bindingOf(source)).reconcile_error?.code).toBe('source.not_reachable');
  });
});
