import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { check } from '../../cli/operator/check.ts';
import type { CheckDeps, Invariant } from '../../cli/operator/check.ts';
import { moveTagPointer } from '../../db/repositories/push.ts';
import { recordRunStart } from '../../db/repositories/record.ts';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';

let world: InboxWorld;
let repository: SeededRepository;
/** What the registry holds under `path:tag`, and the store under a key. */
const tags = new Map<string, string>();
const objects = new Map<string, Buffer>();
const isWorkflowRunning = vi.fn<CheckDeps['isWorkflowRunning']>();

beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  isWorkflowRunning.mockReset().mockResolvedValue(true);
  const { db, secretBox } = world.deps;
  for (const table of ['inbox', 'run', 'tag_pointer', 'tag_move'] as const) await db.deleteFrom(table).execute();
  repository = await seedRepository(db, secretBox);
  await seedBuildRule(db, repository.id, {
    ref: { type: 'branch', name: '.*', match: 'regexp' },
    imageTags: [{ template: 'x' }],
  });
  await seedChain(db, repository.instanceId, { name: 'main', concurrency: 'parallel' });
});

async function violations(...names: Invariant[]): Promise<readonly string[]> {
  const client = await world.deps.registries.client('x', []);
  const found = await check(
    {
      db: world.deps.db,
      isWorkflowRunning,
      registries: {
        client: async () => ({
          ...client,
          manifestHead: async (path, tag) => {
            const digest = tags.get(`${path}:${tag}`);
            return digest === undefined ? undefined : { digest, mediaType: 'application/json', size: 1 };
          },
        }),
      },
      objectStore: {
        objectGetBytes: async (key) => {
          const bytes = objects.get(key);
          if (bytes === undefined) throw Object.assign(new Error('gone'), { name: 'ObjectMissing' });
          return bytes;
        },
      },
      clock: world.clock,
      signal: AbortSignal.timeout(30_000),
      graceMs: 60_000,
    },
    names,
  );
  return found.map(({ invariant, text }) => `${invariant}: ${text}`);
}

const a = 'a'.repeat(40);
const b = 'b'.repeat(40);
const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;
const end = (runId: string, at = world.clock()) =>
  recordRunEnd(world.deps.db, {
    runId,
    attempt: 1,
    result: 'failed',
    reason: { code: 'run.failed', params: {}, text: 'failed' },
    at,
  });

describe('the checker', () => {
  it('finds nothing in an installation that does its work', async () => {
    await world.push(repository, { after: a });
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    await world.push(repository, { after: a });
    const [first] = await world.runsOf(repository);
    await end(first?.id ?? '');
    world.passTime(120_000);
    expect(await violations('INV1', 'INV2', 'INV3', 'INV4', 'INV8')).toEqual([]);
  });

  it('INV1 names a delivery that nobody took up, one without outcome, and a run told of twice', async () => {
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    const [first] = await world.runsOf(repository);
    const { db } = world.deps;
    const ids = (await db.selectFrom('inbox').select('id').orderBy('id').execute()).map(({ id }) => id);
    await db
      .updateTable('inbox')
      .set({ outcome: JSON.stringify({ kind: 'runs', runs: [first?.id, 'nowhere'] }) })
      .where('id', '=', ids[1] ?? 0)
      .execute();
    expect(await violations('INV1')).toEqual([
      'INV1: names the run nowhere, which is not there',
      'INV1: is the outcome of 2 deliveries',
    ]);
    await db
      .updateTable('inbox')
      .set({ outcome: JSON.stringify({ kind: 'lost' }) })
      .execute();
    expect(await violations('INV1')).toContain('INV1: handled without a known outcome: {"kind": "lost"}');
    await db.updateTable('inbox').set({ state: 'pending' }).execute();
    const soon = Date.now() - world.clock().getTime();
    world.passTime(soon + 120_000);
    expect((await violations('INV1')).filter((text) => text.startsWith('INV1: pending since'))).toHaveLength(2);
    world.passTime(-soon - 120_000);
  });

  it('INV2 names runs without a workflow, never started, past their deadline, and ended by half', async () => {
    await world.push(repository, { after: a });
    const [run] = await world.runsOf(repository);
    const runId = run?.id ?? '';
    await recordRunStart(world.deps.db, { runId, at: world.clock() });
    isWorkflowRunning.mockResolvedValue(false);
    world.passTime(120_000);
    expect(await violations('INV2')).toEqual(['INV2: is running without a workflow']);
    isWorkflowRunning.mockReset().mockImplementationOnce(async () => {
      await end(runId);
      return false;
    });
    expect(await violations('INV2')).toEqual([]);

    world.engine.startRun.mockRejectedValueOnce(new Error('no connection'));
    await world.push(repository, { after: b });
    world.passTime(120_000);
    expect(await violations('INV2')).toEqual(['INV2: was never started']);
    const second = (await world.runsOf(repository)).at(-1);
    await recordRunStart(world.deps.db, { runId: second?.id ?? '', at: world.clock() });
    isWorkflowRunning.mockResolvedValue(true);
    world.passTime(6 * 3_600_000 + 120_000);
    expect(await violations('INV2')).toEqual(['INV2: is running past its deadline']);
    await world.deps.db
      .updateTable('run')
      .set({ ended_at: world.clock() })
      .where('id', '=', second?.id ?? '')
      .execute();
    expect(await violations('INV2')).toContain('INV2: ended as running with the result null');
  });

  it('INV3 names a commit built again though its ref never moved', async () => {
    await world.push(repository, { after: a });
    const [run] = await world.runsOf(repository);
    await end(run?.id ?? '');
    const { db } = world.deps;
    await db.updateTable('source_ref').set({ tip: b }).where('repository_id', '=', repository.id).execute();
    await world.push(repository, { after: a });
    expect(await violations('INV3')).toEqual([
      `INV3: builds branch main at ${a} again after run ${run?.id}, with no change in between`,
    ]);
  });

  it('INV4 names a tag that fell back, and one the registry holds otherwise', async () => {
    const path = `${repository.namespace}/app:v1`;
    const move = (orderNo: number, letter: string) =>
      moveTagPointer(world.deps.db, {
        repositoryId: repository.id,
        tag: 'v1',
        orderNo,
        digest: digestOf(letter),
        runId: `run-${orderNo}`,
        digestBefore: null,
        at: world.clock(),
      });
    await move(1, 'a');
    await move(3, 'c');
    await move(2, 'b');
    tags.set(path, digestOf('c'));
    expect(await violations('INV4')).toEqual([]);
    tags.set(path, digestOf('b'));
    expect(await violations('INV4')).toEqual([
      `INV4: the registry holds ${digestOf('b')}, what was applied last is ${digestOf('c')}`,
    ]);
    tags.set(path, digestOf('c'));
    await world.deps.db.updateTable('tag_move').set({ order_no: 0 }).where('order_no', '=', 3).execute();
    expect((await violations('INV4')).slice(0, 1)).toEqual(['INV4: moved from the number 1 back to 0 by run run-3']);
  });

  it('INV8 names a gap, other bytes, a missing piece and another end', async () => {
    await world.push(repository, { after: a });
    const [run] = await world.runsOf(repository);
    const build_id = run?.build_id ?? '';
    const { db } = world.deps;
    const piece = async (first_line: number, lines: number) => {
      const bytes = Buffer.from(`piece ${first_line}`);
      objects.set(`logs/${first_line}`, bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const rest = { bytes: bytes.length, first_byte: first_line, marks: '[]', platform: null, attempt: 1 };
      await db
        .insertInto('log_segment')
        .values({ build_id, first_line, lines, sha256, object_key: `logs/${first_line}`, ...rest })
        .execute();
    };
    await piece(1, 10);
    await piece(11, 5);
    await db.updateTable('build').set({ log_lines: 15 }).where('id', '=', build_id).execute();
    expect(await violations('INV8')).toEqual([]);
    await db.updateTable('build').set({ log_lines: 16 }).where('id', '=', build_id).execute();
    expect(await violations('INV8')).toEqual(['INV8: its log ends at line 15, the build says 16']);
    await piece(17, 1);
    await db.updateTable('build').set({ log_lines: 17 }).where('id', '=', build_id).execute();
    expect(await violations('INV8')).toEqual(['INV8: its log goes on at line 17 instead of 16']);
    objects.set('logs/11', Buffer.from('other'));
    objects.delete('logs/17');
    expect((await violations('INV8')).slice(1)).toEqual([
      'INV8: the piece of its log at line 11 has other bytes than were written',
      'INV8: the piece of its log at line 17 is not in the store',
    ]);
  });
});
