import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBuildLog, type BuildLog, type BuildLogOptions } from '../../activities/build-log.ts';
import { parseLogSegment, type LogLine } from '../../domain/log-line.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { seedBuild } from '../support/seed-build.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const quick = { flushMs: 5, retryMs: 1, closeMs: 5_000 };
const at = '2026-11-21T10:00:00.000Z';

interface World {
  readonly buildId: string;
  readonly objects: Map<string, Uint8Array>;
  /** Makes the next so many puts fail. */
  failPuts: number;
  open(options?: Partial<BuildLogOptions>): BuildLog;
  /** The log as a reader sees it. */
  lines(): Promise<readonly LogLine[]>;
}

async function newWorld(): Promise<World> {
  const { buildId } = await seedBuild(database.db);
  const objects = new Map<string, Uint8Array>();
  const world: World = {
    buildId,
    objects,
    failPuts: 0,
    open: (options = {}) =>
      openBuildLog({
        db: database.db,
        objectStore: {
          objectPut: async (key, body) => {
            world.failPuts -= 1;
            if (world.failPuts >= 0) throw new Error('the store is away');
            if (!(body instanceof Uint8Array)) throw new Error('a segment is bytes');
            objects.set(key, body);
          },
        },
        clock: () => new Date(at),
        buildId,
        platform: 'linux/amd64',
        runAttempt: 1,
        attempt: 1,
        secrets: [],
        timings: quick,
        ...options,
      }),
    lines: async () => {
      const segments = await segmentRows(buildId);
      return segments.flatMap((segment) => {
        const content = objects.get(segment.object_key);
        return parseLogSegment(zstdDecompressSync(content ?? Buffer.alloc(0)).toString(), segment.first_line);
      });
    },
  };
  return world;
}

function segmentRows(buildId: string) {
  return database.db
    .selectFrom('log_segment')
    .selectAll()
    .where('build_id', '=', buildId)
    .orderBy('first_line')
    .execute();
}

function buildRow(buildId: string) {
  return database.db.selectFrom('build').selectAll().where('id', '=', buildId).executeTakeFirstOrThrow();
}

function build(text: string) {
  return { time: at, stage: 'build', text } as const;
}

describe('the log of a build', () => {
  test('lines are there without anybody closing the log, and their segment is announced', async () => {
    const world = await newWorld();
    const listener = new Client({ connectionString: database.url });
    await listener.connect();
    await listener.query('listen slipway_log');
    const announced = new Promise((resolve) =>
      listener.on('notification', ({ payload }) => payload === world.buildId && resolve(payload)),
    );
    const log = world.open();
    log.write([build('one'), build('two')]);
    expect(await announced).toBe(world.buildId);
    expect(await world.lines()).toEqual([
      { line: 1, time: at, stage: 'build', platform: 'linux/amd64', text: 'one' },
      { line: 2, time: at, stage: 'build', platform: 'linux/amd64', text: 'two' },
    ]);
    await log.close();
    await listener.end();
  });

  test('the row of a segment says what its object holds', async () => {
    const world = await newWorld();
    const log = world.open();
    log.write([build('one'), build('two')]);
    await log.close();
    const [segment, ...others] = await segmentRows(world.buildId);
    const content = world.objects.get(segment?.object_key ?? '') ?? Buffer.alloc(0);
    expect(others).toEqual([]);
    expect(segment).toMatchObject({
      first_line: 1,
      lines: 2,
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
      object_key: `logs/build/${world.buildId}/linux-amd64/1.1/1.zst`,
    });
    expect(await buildRow(world.buildId)).toMatchObject({ log_lines: 2, log_bytes: 8, is_log_truncated: false });
  });

  test('steps that begin and end are kept with the segment; how far one has come is told and kept by nobody', async () => {
    const world = await newWorld();
    const listener = new Client({ connectionString: database.url });
    await listener.connect();
    await listener.query('listen slipway_progress');
    const told = new Promise((resolve) =>
      listener.on(
        'notification',
        ({ payload = '' }) => payload.includes(world.buildId) && resolve(JSON.parse(payload)),
      ),
    );
    const log = world.open({ secrets: ['hunter2-hunter2'] });
    log.write([
      build('about'),
      { ...build('#1 RUN make'), mark: { kind: 'step', step: 1, name: 'RUN make' } },
      { ...build('40 % of hunter2-hunter2'), progressOf: 1 },
      { ...build('#1 CACHED'), mark: { kind: 'end', step: 1, state: 'cached', durationMs: 0 } },
    ]);
    await log.close();
    expect(await told).toEqual({ buildId: world.buildId, platform: 'linux/amd64', step: 1, text: '40 % of ***' });
    expect((await world.lines()).map(({ text }) => text)).toEqual(['about', '#1 RUN make', '#1 CACHED']);
    const [segment] = await segmentRows(world.buildId);
    expect([segment?.first_byte, segment?.marks]).toEqual([
      0,
      [
        { kind: 'step', step: 1, name: 'RUN make', at: 1, time: at },
        { kind: 'end', step: 1, state: 'cached', durationMs: 0, at: 2, time: at },
      ],
    ]);
    await listener.end();
  });

  test('architectures that write at the same time share one numbering without a gap or a double', async () => {
    const world = await newWorld();
    const logs = [world.open(), world.open({ platform: 'linux/arm64' }), world.open({ platform: null })];
    for (let round = 0; round < 40; round += 1) {
      for (const [index, log] of logs.entries()) log.write([build(`${index}.${round}`)]);
      if (round % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(logs.map((log) => log.close()));
    const lines = await world.lines();
    expect(lines.map(({ line }) => line)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
    for (const index of logs.keys()) {
      const own = lines.filter(({ text }) => text.startsWith(`${index}.`)).map(({ text }) => text);
      expect(own).toEqual(Array.from({ length: 40 }, (_, round) => `${index}.${round}`));
    }
  });

  test('many lines make segments of about 256 KB, long before a second is over', async () => {
    const world = await newWorld();
    const log = world.open({ timings: { ...quick, flushMs: 60_000 } });
    const text = 'x'.repeat(1_000);
    for (let index = 0; index < 1_000; index += 1) log.write([build(text)]);
    await log.close();
    const segments = await segmentRows(world.buildId);
    expect(segments.reduce((sum, { lines }) => sum + lines, 0)).toBe(1_000);
    expect(segments[0]?.lines).toBe(262);
  });

  test('a store that is away for a while loses nothing and doubles nothing', async () => {
    const world = await newWorld();
    world.failPuts = 3;
    const log = world.open();
    log.write([build('one')]);
    log.write([build('two')]);
    await log.close();
    expect((await world.lines()).map(({ line, text }) => [line, text])).toEqual([
      [1, 'one'],
      [2, 'two'],
    ]);
  });

  test('a store that stays away fails the attempt, instead of losing lines in silence', async () => {
    const world = await newWorld();
    world.failPuts = Number.POSITIVE_INFINITY;
    const log = world.open({ timings: { ...quick, closeMs: 50 } });
    log.write([build('one')]);
    await expect(log.close()).rejects.toThrow('the store is away');
    expect(await segmentRows(world.buildId)).toEqual([]);
  });

  test('a row whose commit was not heard of is not written again', async () => {
    const world = await newWorld();
    const log = world.open();
    log.write([build('one')]);
    await log.close();
    // The same writer, attempt and sequence: what a retry after a lost answer sends.
    const again = world.open();
    again.write([build('one')]);
    await again.close();
    expect((await world.lines()).map(({ text }) => text)).toEqual(['one']);
    expect((await buildRow(world.buildId)).log_lines).toBe(1);
  });

  test('another attempt goes on behind the lines there are and says that it does', async () => {
    const world = await newWorld();
    const first = world.open();
    first.write([build('one')]);
    await first.close();
    const second = world.open({ attempt: 2 });
    second.write([build('two')]);
    await second.close();
    expect((await world.lines()).map(({ line, text }) => [line, text])).toEqual([
      [1, 'one'],
      [2, 'Attempt 2: the one before did not end well.'],
      [3, 'two'],
    ]);
  });

  test('a log that reaches its limit ends with a line that says so, once, whoever writes', async () => {
    const world = await newWorld();
    const maxBytes = 3 * 1024 * 1024;
    const logs = [world.open({ maxBytes }), world.open({ maxBytes, platform: 'linux/arm64' })];
    const text = 'x'.repeat(10_000);
    for (let index = 0; index < 200; index += 1) {
      for (const log of logs) log.write([build(text)]);
      if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(logs.map((log) => log.close()));
    const late = world.open({ maxBytes, attempt: 2 });
    late.write([build('too late')]);
    await late.close();
    const lines = await world.lines();
    const cuts = lines.filter((line) => line.text.includes('the log ends here: it holds 3 MiB'));
    expect(cuts).toHaveLength(1);
    expect(lines.at(-1)).toEqual(cuts[0]);
    expect(lines.some((line) => line.text === 'too late')).toBe(false);
    expect(await buildRow(world.buildId)).toMatchObject({ is_log_truncated: true, log_lines: lines.length });
  });

  test('secrets are masked in every line, ours and the builder’s', async () => {
    const world = await newWorld();
    const log = world.open({ secrets: ['hunter2-hunter2'] });
    log.write([build('password=hunter2-hunter2')]);
    log.say('build', `Basic ${Buffer.from('hunter2-hunter2').toString('base64')}`);
    await log.close();
    expect((await world.lines()).map(({ text }) => text)).toEqual(['password=***', 'Basic ***']);
  });
});
