import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHookDoor } from '../../api/hook-door.ts';
import { insertDeliveries } from '../../db/repositories/hook.ts';
import { limits } from '../../domain/limits.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedRepository } from '../support/seed.ts';
import { githubPush } from '../support/source-push.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const door = () => createHookDoor({ db: world.deps.db, clock: world.clock });
const kinds = (answers: readonly { kind: string }[]) => ({
  admitted: answers.filter(({ kind }) => kind === 'admitted').length,
  refused: answers.filter(({ kind }) => kind === 'too_often').length,
});

describe('how often a hook may be called', () => {
  it('is a burst at once, then so many a second, whichever process is asked', async () => {
    const { hookId } = await seedRepository(world.deps.db, world.deps.secretBox);
    const doors = [door(), door()] as const;
    const knock = (count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, index) =>
          doors[index % 2 === 0 ? 0 : 1].admit({ hookId, address: undefined }),
        ),
      );
    expect(kinds(await knock(limits.hookBurst + 100))).toEqual({ admitted: limits.hookBurst, refused: 100 });
    world.passTime(1_000);
    expect(kinds(await knock(limits.hookPerSecond + 50))).toEqual({ admitted: limits.hookPerSecond, refused: 50 });
    world.passTime(60_000);
    expect(kinds(await knock(limits.hookBurst + 1))).toEqual({ admitted: limits.hookBurst, refused: 1 });
  });

  it('past that is answered 429 with the time to wait, and nothing is stored', async () => {
    const { hookId, hookSecret } = await seedRepository(world.deps.db, world.deps.secretBox);
    await Promise.all(Array.from({ length: limits.hookBurst }, () => door().admit({ hookId, address: undefined })));
    const answer = await world.deliver(hookId, githubPush(hookSecret, {}));
    expect(answer).toMatchObject({ status: 429, body: { code: 'source.hook_too_often' } });
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await world.deps.db.selectFrom('inbox').select('id').where('hook_id', '=', hookId).execute()).toEqual([]);
  });

  it('costs an address nobody has no row of its own', async () => {
    await door().admit({ hookId: 'made-up', address: '203.0.113.1' });
    const rows = world.deps.db.selectFrom('rate_bucket').select('key').where('key', 'like', '%made-up%');
    expect(await rows.execute()).toEqual([]);
  });
});

describe('refused deliveries', () => {
  it('are counted by where they come from, and accepted ones are not', async () => {
    const { hookId } = await seedRepository(world.deps.db, world.deps.secretBox);
    const [attacker, host] = [
      { hookId: 'none', address: '2001:db8::1' },
      { hookId, address: '192.0.2.1' },
    ];
    const entrance = door();
    await Promise.all(Array.from({ length: limits.hookBurst }, () => entrance.noteRefusal(attacker)));
    expect((await entrance.admit(attacker)).kind).toBe('too_often');
    // The next address of the same network is the same caller.
    expect((await entrance.admit({ hookId, address: '2001:db8::2' })).kind).toBe('too_often');
    expect((await entrance.admit(host)).kind).toBe('admitted');
    world.passTime(1_000);
    expect((await entrance.admit(attacker)).kind).toBe('admitted');
  });

  it('long ago are forgotten', async () => {
    const entrance = door();
    await entrance.noteRefusal({ hookId: 'none', address: '198.51.100.9' });
    world.passTime(3_600_000);
    await entrance.noteRefusal({ hookId: 'none', address: '198.51.100.10' });
    const rows = await world.deps.db.selectFrom('rate_bucket').select('key').execute();
    expect(rows).toEqual([{ key: 'hook-refused:198.51.100.10' }]);
  });
});

describe('deliveries stored together', () => {
  const row = (hookId: string, repositoryId: string, deliveryId: string) => ({
    hook_id: hookId,
    repository_id: repositoryId,
    delivery_id: deliveryId,
    host: 'github' as const,
    event: 'push',
    body: Buffer.from('x'),
    received_at: world.clock(),
  });

  it('each are stored once: told twice in one list, or there before', async () => {
    const { db, secretBox } = world.deps;
    const { id, hookId } = await seedRepository(db, secretBox);
    const [before] = await insertDeliveries(db, [row(hookId, id, 'a')]);
    const stored = await insertDeliveries(
      db,
      ['b', 'a', 'b', 'c'].map((deliveryId) => row(hookId, id, deliveryId)),
    );
    expect(stored.map(({ isDuplicate }) => isDuplicate)).toEqual([false, true, true, false]);
    expect(stored[1]?.id).toBe(before?.id);
    expect(stored[2]?.id).toBe(stored[0]?.id);
    expect(await db.selectFrom('inbox').select('id').where('hook_id', '=', hookId).execute()).toHaveLength(3);
  });

  it('do not suffer from one whose repository was deleted meanwhile', async () => {
    const { db, secretBox } = world.deps;
    const { id, hookId } = await seedRepository(db, secretBox);
    const entrance = door();
    const settled = await Promise.allSettled([
      entrance.store(row(hookId, id, 'a')),
      entrance.store(row(hookId, 'crr-gone', 'b')),
      entrance.store(row(hookId, id, 'c')),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('a thousand times the same, fifty at once, are one row and one answer that it is new', async () => {
    const { hookId, hookSecret } = await seedRepository(world.deps.db, world.deps.secretBox);
    const push = githubPush(hookSecret, {});
    const answers: unknown[] = [];
    const sender = async () => {
      for (let sent = 0; sent < 20; sent += 1) answers.push((await world.deliver(hookId, push)).body?.['duplicate']);
    };
    await Promise.all(Array.from({ length: 50 }, sender));
    expect(answers).toHaveLength(1_000);
    expect(answers.filter((duplicate) => duplicate === false)).toHaveLength(1);
    expect(await world.deps.db.selectFrom('inbox').select('id').where('hook_id', '=', hookId).execute()).toHaveLength(
      1,
    );
  });
});
