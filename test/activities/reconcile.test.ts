import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createReconcileActivities } from '../../activities/reconcile.ts';
import type { ReconcileInput } from '../../activities/reconcile.ts';
import type { Git } from '../../activities/drivers/git.ts';
import type { HostDeliveries, HostDelivery } from '../../activities/drivers/source-host.ts';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import { insertSecret } from '../../db/repositories/secret.ts';
import { insertInbox } from '../../db/repositories/inbox.ts';
import { updateSourceBinding } from '../../db/repositories/source-binding.ts';
import { HostError } from '../../domain/source-host-error.ts';
import { SourceError } from '../../domain/source-error.ts';
import { storedLogins } from '../support/source-logins.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { runActivity } from '../support/run-activity.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';

const secretBox = createSecretBox({ keys: [randomBytes(32)] });
const [a, b, c] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)] as const;
const at = new Date('2026-11-21T12:00:00Z');

let world: TestDatabase;
beforeAll(async () => {
  world = await createTestDatabase();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.db.deleteFrom('source_binding').execute();
});

/** A source bound to a repository that builds `main` and `release-*`; its refs are what the test says. */
async function newSource({ isAutoBuild = true }: { isAutoBuild?: boolean } = {}) {
  const { db } = world;
  const repository = await seedRepository(db, secretBox, { isAutoBuild });
  const imageTags = [{ template: 'latest' }];
  await seedBuildRule(db, repository.id, { ref: { type: 'branch', name: 'main' }, imageTags });
  await seedBuildRule(db, repository.id, { ref: { type: 'tag', name: 'v.*', match: 'regexp' }, imageTags });
  return repository;
}

/** Activities whose git answers with these branches and tags, as `heads/main`. */
function reconciler(refs: Readonly<Record<string, string>> | Error) {
  const { db } = world;
  let now = at.getTime();
  const refsList = vi.fn<Git['refsList']>(async () => {
    if (refs instanceof Error) throw refs;
    return Object.entries(refs).map(([name, commit]) => {
      const [kind, ...rest] = name.split('/');
      return { ref: rest.join('/'), refType: kind === 'tags' ? 'tag' : 'branch', commit, objectId: commit } as const;
    });
  });
  const deliveriesList = vi.fn<HostDeliveries['deliveriesList']>(async () => []);
  const deliveryRedeliver = vi.fn<HostDeliveries['deliveryRedeliver']>(async () => undefined);
  const client = {
    ...{ credentialCheck: vi.fn(), hookInstall: vi.fn(), hookRemove: vi.fn(), statusSet: vi.fn() },
    deliveries: { deliveriesList, deliveryRedeliver },
  };
  const login = JSON.stringify({ kind: 'token', token: 'token-of-ada' });
  const deps = {
    ...{ db, git: { refsList }, sourceHosts: { client: () => client }, sourceLogins: storedLogins(async () => login) },
    clock: () => new Date((now += 1)),
  };
  const { reconcileSources } = createReconcileActivities(deps);
  return {
    refsList,
    deliveriesList,
    deliveryRedeliver,
    run: (input: Partial<ReconcileInput> = {}) =>
      runActivity(reconcileSources, { startedAtMs: at.getTime(), isNew: false, graceMs: 0, ...input }),
  };
}

async function seenOf({ id }: SeededRepository) {
  const rows = await world.db.selectFrom('source_ref').select(['ref', 'tip']).where('repository_id', '=', id).execute();
  return Object.fromEntries(rows.map(({ ref, tip }) => [ref, tip]));
}

async function inboxOf({ id }: SeededRepository) {
  const rows = await world.db.selectFrom('inbox').selectAll().where('repository_id', '=', id).orderBy('id').execute();
  return rows.map(({ delivery_id: delivery, cause, event, host, body }) => ({
    delivery,
    cause,
    event,
    host,
    push: JSON.parse(gunzipSync(body ?? Buffer.alloc(0)).toString()),
  }));
}

const bindingOf = ({ id }: SeededRepository) =>
  world.db.selectFrom('source_binding').selectAll().where('repository_id', '=', id).executeTakeFirstOrThrow();

const later = (minutes: number) => ({ startedAtMs: at.getTime() + minutes * 60_000 });

describe('comparing bound sources', () => {
  test('the first look takes what is there as the base and starts nothing', async () => {
    const source = await newSource();
    expect(await reconciler({ 'heads/main': a, 'tags/v1': a }).run()).toEqual({ compared: 1, failed: 0, missed: 0 });
    expect(await seenOf(source)).toEqual({ 'heads/main': a, 'tags/v1': a });
    expect(await inboxOf(source)).toEqual([]);
    expect((await bindingOf(source)).reconciled_at).not.toBeNull();
  });

  test('a push nobody told of goes into the inbox once, however often it is found', async () => {
    const source = await newSource();
    await reconciler({ 'heads/main': a }).run();
    const moved = reconciler({ 'heads/main': b, 'tags/v1': c });
    expect(await moved.run(later(10))).toEqual({ compared: 1, failed: 0, missed: 2 });
    expect(await moved.run(later(20))).toEqual({ compared: 1, failed: 0, missed: 0 });
    expect(await inboxOf(source)).toEqual([
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
    const source = await newSource();
    await reconciler({ 'heads/main': a }).run();
    await reconciler({ 'heads/main': a, 'heads/docs': b }).run(later(10));
    await seedBuildRule(world.db, source.id, {
      ref: { type: 'branch', name: 'docs' },
      imageTags: [{ template: 'docs' }],
    });
    expect(await reconciler({ 'heads/main': a, 'heads/docs': b }).run(later(20))).toMatchObject({ missed: 0 });
    expect(await seenOf(source)).toEqual({ 'heads/main': a, 'heads/docs': b });
  });

  test('while automatic builds are off nothing is missed, also not once they are on again', async () => {
    const source = await newSource({ isAutoBuild: false });
    await reconciler({ 'heads/main': a }).run();
    await reconciler({ 'heads/main': b }).run(later(10));
    await world.db.updateTable('repository').set({ is_auto_build: true }).where('id', '=', source.id).execute();
    expect(await reconciler({ 'heads/main': b }).run(later(20))).toMatchObject({ missed: 0 });
  });

  test('a deleted ref is forgotten, and built when it comes back at the same commit', async () => {
    const source = await newSource();
    await reconciler({ 'heads/main': a, 'tags/v1': a }).run();
    await reconciler({ 'heads/main': a }).run(later(10));
    expect(await seenOf(source)).toEqual({ 'heads/main': a, 'tags/v1': null });
    expect(await reconciler({ 'heads/main': a, 'tags/v1': a }).run(later(20))).toMatchObject({ missed: 1 });
  });

  test('what a delivery told of while the refs were compared is left to it', async () => {
    const source = await newSource();
    await reconciler({ 'heads/main': a }).run();
    const late = reconciler({ 'heads/main': b });
    late.refsList.mockImplementationOnce(async () => {
      await insertInbox(world.db, {
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
    const source = await newSource();
    await reconciler({ 'heads/main': a }).run();
    const { source_account_id } = await bindingOf(source);
    await updateSourceBinding(world.db, source.id, {
      source_account_id,
      code_namespace: 'acme',
      code_repository: 'other',
    });
    expect(await reconciler({ 'heads/main': b }).run(later(10))).toMatchObject({ compared: 1, missed: 0 });
    expect(await seenOf(source)).toEqual({ 'heads/main': b });
  });

  test('bound to other code while it was compared, nothing of the old code is kept', async () => {
    const source = await newSource();
    const slow = reconciler({ 'heads/main': a });
    slow.refsList.mockImplementationOnce(async () => {
      const { source_account_id } = await bindingOf(source);
      const code = { source_account_id, code_namespace: 'acme', code_repository: 'other' };
      await updateSourceBinding(world.db, source.id, code);
      return [{ ref: 'main', refType: 'branch', commit: a, objectId: a }];
    });
    await slow.run();
    expect(await seenOf(source)).toEqual({});
    expect((await bindingOf(source)).reconciled_at).toBeNull();
  });

  test('a round that only looks at new bindings leaves the others alone', async () => {
    await newSource();
    await reconciler({}).run();
    const fresh = await newSource();
    const { refsList, run } = reconciler({ 'heads/main': a });
    await run({ ...later(1), isNew: true });
    expect(refsList).toHaveBeenCalledTimes(1);
    expect(await seenOf(fresh)).toEqual({ 'heads/main': a });
  });

  test('an attempt after a lost one goes on with what was not looked at yet', async () => {
    await newSource();
    await newSource();
    const first = reconciler({});
    first.refsList.mockImplementationOnce(async () => []).mockRejectedValueOnce(new Error('a defect'));
    await expect(first.run()).rejects.toThrow('a defect');
    const second = reconciler({});
    await second.run();
    expect(second.refsList).not.toHaveBeenCalled();
  });
});

describe('a host that keeps its deliveries', () => {
  const attempt = (id: string, deliveryId: string, change: Partial<HostDelivery> = {}): HostDelivery => ({
    ...{ id, deliveryId, deliveredAt: '2026-11-21T11:58:00Z', event: 'push', isDelivered: false },
    ...change,
  });

  /** A source with a hook that Slipway installed, and a credential to ask by. */
  async function hookedSource() {
    const source = await newSource();
    const { db } = world;
    const ref = await insertSecret(db, secretBox, { ownerId: source.namespaceId, kind: 'source', value: 'sealed' });
    const { source_account_id } = await bindingOf(source);
    await db.updateTable('source_account').set({ credential_ref: ref }).where('id', '=', source_account_id).execute();
    await db.updateTable('source_binding').set({ hook_ref: 'hook-7' }).where('repository_id', '=', source.id).execute();
    await reconciler({ 'heads/main': a }).run();
    return source;
  }

  test('is asked to send again what never arrived, once a push was missed', async () => {
    const source = await hookedSource();
    const same = reconciler({ 'heads/main': a });
    await same.run(later(10));
    expect(same.deliveriesList).not.toHaveBeenCalled();

    await insertInbox(world.db, {
      ...{ hook_id: source.hookId, delivery_id: 'taken', repository_id: source.id, host: 'github', event: 'push' },
      ...{ body: null, state: 'handled', outcome: '{}', handled_at: at },
    });
    const moved = reconciler({ 'heads/main': b });
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
    const moved = reconciler({ 'heads/main': b });
    moved.deliveriesList.mockResolvedValue([attempt('3', 'lost'), attempt('2', 'lost'), attempt('1', 'lost')]);
    await moved.run(later(10));
    expect(moved.deliveryRedeliver).not.toHaveBeenCalled();
  });

  test('that will not is no failure: the ref tells what was pushed', async () => {
    await hookedSource();
    const moved = reconciler({ 'heads/main': b });
    moved.deliveriesList.mockRejectedValue(new HostError('forbidden', 'The credential may not read hooks.'));
    expect(await moved.run(later(10))).toEqual({ compared: 1, failed: 0, missed: 1 });
  });
});

describe('a source that cannot be compared', () => {
  const down = new SourceError('source.not_reachable', 'The source host is down.');

  test('says why on its binding, until it can', async () => {
    const source = await newSource();
    expect(await reconciler(down).run()).toEqual({ compared: 0, failed: 1, missed: 0 });
    expect(await bindingOf(source)).toMatchObject({
      reconciled_at: null,
      reconcile_error: { code: 'source.not_reachable', params: {}, text: 'The source host is down.' },
    });
    await reconciler({ 'heads/main': a }).run(later(10));
    expect(await bindingOf(source)).toMatchObject({ reconcile_error: null, reconciled_at: expect.any(Date) });
  });

  test('after three in a row its host is left alone for the rest of the round; other hosts are compared', async () => {
    const sources = [];
    for (let index = 0; index < 8; index += 1) sources.push(await newSource());
    const other = await newSource();
    const { source_account_id } = await bindingOf(other);
    await world.db
      .updateTable('source_account')
      .set({ base_url: 'https://elsewhere.example.com' })
      .where('id', '=', source_account_id)
      .execute();
    const { refsList, run } = reconciler({});
    refsList.mockImplementation(async (url) => {
      if (!url.includes('elsewhere')) throw down;
      return [{ ref: 'main', refType: 'branch', commit: a, objectId: a }];
    });
    expect(await run()).toEqual({ compared: 1, failed: 8, missed: 0 });
    expect(refsList.mock.calls.filter(([url]) => !url.includes('elsewhere')).length).toBeLessThanOrEqual(4);
    expect(await seenOf(other)).toEqual({ 'heads/main': a });
    for (const source of sources) expect((await bindingOf(source)).reconcile_error?.code).toBe('source.not_reachable');
  });
});
