import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listTagFences } from '../../db/repositories/tag-fence.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { newPushWorld } from '../support/push-world.ts';
import { seedBuild } from '../support/seed-build.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ maxConnections: 10 });
});
afterAll(() => database.close());

/** A generator with a seed: the same shuffles on every run. */
function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  let state = seed;
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
  return items
    .map((item) => ({ item, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

describe('moving tags', () => {
  test('a tag that was never set points at the image, in the registry and in its row', async () => {
    const world = await newPushWorld(database.db);
    const { digest } = world.addImage('one');
    expect(await world.move(digest, { orderNo: 7, tags: ['v1', 'latest'] })).toEqual({
      moved: [
        { tag: 'v1', previousDigest: null, sequence: 1 },
        { tag: 'latest', previousDigest: null, sequence: 1 },
      ],
      fenced: [],
    });
    expect(world.tags).toEqual(
      new Map([
        ['v1', digest],
        ['latest', digest],
      ]),
    );
    expect(await world.pointer('v1')).toMatchObject({ order_no: 7, digest, run_id: 'run-7' });
  });

  test('a tag somebody pushed by hand before is told as the previous image', async () => {
    const world = await newPushWorld(database.db);
    const [before, after] = [world.addImage('by hand'), world.addImage('ours')];
    world.tags.set('v1', before.digest);
    expect((await world.move(after.digest, { orderNo: 1 })).moved).toEqual([
      { tag: 'v1', previousDigest: before.digest, sequence: 1 },
    ]);
  });

  test('an older run that ends later is fenced: its image is there, its tag is not moved', async () => {
    const world = await newPushWorld(database.db);
    const [older, newer] = [world.addImage('older'), world.addImage('newer')];
    await world.move(newer.digest, { orderNo: 9 });
    expect(await world.move(older.digest, { orderNo: 8 })).toEqual({ moved: [], fenced: [{ tag: 'v1', by: 9 }] });
    expect(world.tags.get('v1')).toBe(newer.digest);
  });

  test('a fenced run and the one that holds its tag are linked both ways, also when the move is tried again', async () => {
    const world = await newPushWorld(database.db);
    const other = await seedBuild(database.db);
    const [older, newer] = [world.addImage('older'), world.addImage('newer')];
    await world.move(newer.digest, { orderNo: 9, runId: other.runId });
    for (let attempt = 0; attempt < 2; attempt += 1)
      await world.move(older.digest, { orderNo: 8, runId: world.build.runId });
    expect(await listTagFences(database.db, world.build.runId)).toEqual({
      heldBy: [{ tag: 'v1', run: { id: other.runId, number: 0 } }],
      keptFrom: [],
    });
    expect(await listTagFences(database.db, other.runId)).toEqual({
      heldBy: [],
      keptFrom: [{ tag: 'v1', run: { id: world.build.runId, number: 0 } }],
    });
  });

  test('a late push makes a missing tag and moves none, neither ours nor one pushed by hand', async () => {
    const world = await newPushWorld(database.db);
    const [late, set, byHand] = [world.addImage('late'), world.addImage('set'), world.addImage('by hand')];
    await world.move(set.digest, { orderNo: 4, tags: ['set'] });
    world.tags.set('by-hand', byHand.digest);
    const tags = ['missing', 'set', 'by-hand'];
    expect(await world.move(late.digest, { orderNo: 0, tags, runId: 'run-late' })).toEqual({
      moved: [{ tag: 'missing', previousDigest: null, sequence: 1 }],
      fenced: [
        { tag: 'set', by: 4 },
        { tag: 'by-hand', by: 0 },
      ],
    });
    expect(world.tags).toEqual(
      new Map([
        ['set', set.digest],
        ['by-hand', byHand.digest],
        ['missing', late.digest],
      ]),
    );
  });

  test('every move stands in the history of its tag once, and its order numbers never fall', async () => {
    const world = await newPushWorld(database.db);
    const images = [world.addImage('one'), world.addImage('two'), world.addImage('three')];
    for (const orderNo of [1, 3, 2, 3]) await world.move(images[orderNo - 1]?.digest ?? '', { orderNo });
    const moves = await database.db
      .selectFrom('tag_move')
      .select(['sequence', 'order_no', 'digest'])
      .where('repository_id', '=', world.build.repository.id)
      .orderBy('id')
      .execute();
    expect(moves).toEqual([
      { sequence: 1, order_no: 1, digest: images[0]?.digest },
      { sequence: 2, order_no: 3, digest: images[2]?.digest },
    ]);
  });

  test('the same move made twice counts once', async () => {
    const world = await newPushWorld(database.db);
    const [before, after] = [world.addImage('before'), world.addImage('after')];
    await world.move(before.digest, { orderNo: 1 });
    const first = await world.move(after.digest, { orderNo: 2 });
    expect(await world.move(after.digest, { orderNo: 2 })).toEqual(first);
    expect(first.moved).toEqual([{ tag: 'v1', previousDigest: before.digest, sequence: 2 }]);
  });

  test('a restarted run keeps its order number and moves its own tag on', async () => {
    const world = await newPushWorld(database.db);
    const [first, second] = [world.addImage('first'), world.addImage('second')];
    await world.move(first.digest, { orderNo: 3 });
    expect((await world.move(second.digest, { orderNo: 3 })).moved).toEqual([
      { tag: 'v1', previousDigest: first.digest, sequence: 2 },
    ]);
    expect(world.tags.get('v1')).toBe(second.digest);
  });

  test('runs that end in any order, all at once, leave every tag at the newest', async () => {
    const world = await newPushWorld(database.db);
    const runs = Array.from({ length: 12 }, (_, index) => ({
      orderNo: index + 1,
      digest: world.addImage(`image ${index}`).digest,
    }));
    const newest = runs.at(-1)?.digest;
    // Every write of a tag takes its own time, so that older ones land after newer ones.
    let delays = 0;
    world.registry.rules.push({
      when: /^PUT .*\/manifests\/t\d+$/,
      answer: async (response, request, body) => {
        const chunks: Buffer[] = [];
        for await (const chunk of body) chunks.push(chunk);
        delays += 1;
        await new Promise((resolve) => setTimeout(resolve, (delays * 7) % 11));
        const digest = runs.find(
          (run) =>
            world.registry.repository(world.path).manifests.get(run.digest)?.bytes.equals(Buffer.concat(chunks)) ===
            true,
        )?.digest;
        world.tags.set(request.path.split('/').at(-1) ?? '', digest ?? 'unknown');
        response.writeHead(201, { 'docker-content-digest': digest }).end();
      },
    });
    for (let seed = 1; seed <= 10; seed += 1) {
      const tag = `t${seed}`;
      const ends = await Promise.all(
        shuffled(runs, seed).map(({ orderNo, digest }) => world.move(digest, { orderNo, tags: [tag] })),
      );
      expect(world.tags.get(tag), `seed ${seed}`).toBe(newest);
      expect(await world.pointer(tag)).toMatchObject({ order_no: 12, digest: newest });
      expect(ends.flatMap(({ moved, fenced }) => [...moved, ...fenced])).toHaveLength(12);
    }
  });

  test('runs that end one after the other in shuffled order leave the tag at the newest', async () => {
    const world = await newPushWorld(database.db);
    const runs = Array.from({ length: 8 }, (_, index) => ({
      orderNo: index + 1,
      digest: world.addImage(`image ${index}`).digest,
    }));
    for (let seed = 100; seed < 110; seed += 1) {
      const tag = `s${seed}`;
      for (const { orderNo, digest } of shuffled(runs, seed)) await world.move(digest, { orderNo, tags: [tag] });
      expect(world.tags.get(tag)).toBe(runs.at(-1)?.digest);
    }
  });

  test('a write that a thawed worker made late is repaired by the worker itself', async () => {
    const world = await newPushWorld(database.db);
    const [older, newer] = [world.addImage('older'), world.addImage('newer')];
    // While the older run's write is on its way, a newer run moves the tag.
    world.registry.rules.push({
      when: /^PUT .*\/manifests\/v1$/,
      times: 1,
      answer: async (response) => {
        await world.move(newer.digest, { orderNo: 2 });
        world.tags.set('v1', older.digest);
        response.writeHead(201, { 'docker-content-digest': older.digest }).end();
      },
    });
    await world.move(older.digest, { orderNo: 1 });
    expect(world.tags.get('v1')).toBe(newer.digest);
  });

  test('the tags a run moved stand on its Record with their image', async () => {
    const world = await newPushWorld(database.db);
    const { digest } = world.addImage('one');
    await world.move(digest, { orderNo: 1, runId: world.build.runId });
    const run = await database.db
      .selectFrom('run')
      .select(['digest', 'images'])
      .where('id', '=', world.build.runId)
      .executeTakeFirst();
    expect(run).toEqual({ digest, images: [{ tag: 'v1', digest, platforms: ['linux/amd64'] }] });
  });

  test('a set tag of a repository with immutable tags stays, but latest moves', async () => {
    const world = await newPushWorld(database.db);
    const [first, second] = [world.addImage('first'), world.addImage('second')];
    await database.db
      .updateTable('repository')
      .set({ tag_immutability: true })
      .where('id', '=', world.build.repository.id)
      .execute();
    await world.move(first.digest, { orderNo: 1, tags: ['v1', 'latest'] });
    await world.move(first.digest, { orderNo: 2, tags: ['v1'] });
    await world.move(second.digest, { orderNo: 3, tags: ['latest'] });
    await expect(world.move(second.digest, { orderNo: 4 })).rejects.toMatchObject({
      type: 'push.tag_immutable',
      nonRetryable: true,
      message: `The tag "v1" is set and the tags of ${world.path} are immutable. Write another tag, or turn tag immutability off.`,
    });
    expect(world.tags.get('v1')).toBe(first.digest);
  });

  test('a registry that refuses for good ends the step, one that is away is asked again', async () => {
    const world = await newPushWorld(database.db);
    const { digest } = world.addImage('one');
    world.registry.rules.push({ when: /^PUT/, times: 1, answer: (response) => void response.writeHead(403).end() });
    await expect(world.move(digest, { orderNo: 1 })).rejects.toMatchObject({
      type: 'push.unauthorized',
      nonRetryable: true,
    });
    world.registry.rules.push({ when: /^PUT/, times: 9, answer: (response) => void response.writeHead(503).end() });
    await expect(world.move(digest, { orderNo: 1 })).rejects.toMatchObject({
      type: 'push.network_error',
      nonRetryable: false,
    });
  });
});
