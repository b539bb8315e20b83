import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { findRunContext } from '../../db/repositories/run-context.ts';
import { recordRunStart } from '../../db/repositories/record.ts';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
import { sourceConcurrency } from '../../db/repositories/source-run.ts';
import type { RunResult } from '../../domain/record.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  world.engine.startRun.mockReset().mockResolvedValue({ workflowRunId: 'engine-run' });
  world.engine.cancelRun.mockReset().mockResolvedValue('canceling');
});

const anyBranch = {
  ref: { type: 'branch', name: '.*', match: 'regexp' },
  imageTags: [{ template: 'x', commitIdLength: 8 }],
};
const anyTag = { ref: { type: 'tag', name: '.*', match: 'regexp' }, imageTags: [{ template: 'y', commitIdLength: 8 }] };
const a = 'a'.repeat(40);
const b = 'b'.repeat(40);
const c = 'c'.repeat(40);

/** A repository under a chain of this concurrency that builds every branch and every git tag. */
async function seedWorld(concurrency: string | null) {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, anyBranch);
  await seedBuildRule(world.deps.db, repository.id, anyTag);
  const chainId = await seedChain(world.deps.db, repository.instanceId, { name: 'main', concurrency });
  return { repository, chainId };
}

/** As the workflow of a run does: it takes the run up, and ends it. */
const takeUp = (runId: string) => recordRunStart(world.deps.db, { runId, at: world.clock() });
const end = (runId: string, result: RunResult) =>
  recordRunEnd(world.deps.db, {
    runId,
    attempt: 1,
    result,
    reason: { code: `run.${result}`, params: {}, text: result },
    at: world.clock(),
  });
const numbersOf = async (repository: SeededRepository) =>
  (await world.runsOf(repository)).map(({ number, status, is_waiting: isWaiting }) => [number, status, isWaiting]);
const startedIds = ({ id }: SeededRepository) =>
  world.engine.startRun.mock.calls.filter(([input]) => input.repository.id === id).map(([input]) => input.runId);
const record = async (id: string) => (await world.call('GET', `/v1/runs/${id}`)).body;

describe('a second push to a ref whose run is live', () => {
  it('under supersede cancels the older run and starts at once; both Records link each other', async () => {
    const { repository } = await seedWorld('supersede');
    await world.push(repository, { after: a });
    const [older] = await world.runsOf(repository);
    await takeUp(older?.id ?? '');
    await world.push(repository, { after: b });
    const [, newer] = await world.runsOf(repository);
    expect(startedIds(repository)).toEqual([older?.id, newer?.id]);
    expect(world.engine.cancelRun).toHaveBeenCalledExactlyOnceWith(older?.workflow_id);
    expect(await numbersOf(repository)).toEqual([
      [1, 'canceling', false],
      [2, 'queued', false],
    ]);
    await end(older?.id ?? '', 'canceled');
    expect(await record(older?.id ?? '')).toMatchObject({
      status: 'canceled',
      result: 'canceled',
      reason: { code: 'superseded', params: { by: 2 }, text: 'Superseded by #2' },
      supersededBy: { id: newer?.id, number: 2 },
      supersedes: null,
    });
    expect(await record(newer?.id ?? '')).toMatchObject({
      status: 'queued',
      supersededBy: null,
      supersedes: { id: older?.id, number: 1 },
    });
    const trail = await world.call('GET', `/v1/runs/${older?.id}/events`);
    expect(JSON.stringify(trail.body)).toContain('run.superseded');
  });

  it('under queue waits with its place, is started when the run before has ended, and gives way to a newer', async () => {
    const { repository } = await seedWorld('queue');
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    await world.push(repository, { after: c });
    const [first, second, third] = await world.runsOf(repository);
    expect(await numbersOf(repository)).toEqual([
      [1, 'queued', false],
      [2, 'canceled', false],
      [3, 'queued', true],
    ]);
    expect(second?.reason).toMatchObject({ code: 'superseded', text: 'Superseded by #3' });
    expect(startedIds(repository)).toEqual([first?.id]);
    expect(world.engine.cancelRun).not.toHaveBeenCalled();
    expect(await record(third?.id ?? '')).toMatchObject({
      status: 'queued',
      queue: { place: 1, of: 1 },
      supersedes: { id: second?.id, number: 2 },
    });
    const list = await world.call('GET', `/v1/runs?repository=${repository.id}`);
    expect(list.body?.['items']).toContainEqual(expect.objectContaining({ number: 3, queue: { place: 1, of: 1 } }));
    world.passTime(60_000);
    await world.createReader().sweep();
    expect(startedIds(repository)).toEqual([first?.id]);
    await end(first?.id ?? '', 'failed');
    expect(await numbersOf(repository)).toContainEqual([3, 'queued', false]);
    await world.createReader().sweep();
    expect(startedIds(repository)).toEqual([first?.id, third?.id]);
  });

  it('under parallel runs beside the older one', async () => {
    const { repository } = await seedWorld('parallel');
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    expect(await numbersOf(repository)).toEqual([
      [1, 'queued', false],
      [2, 'queued', false],
    ]);
    expect(startedIds(repository)).toHaveLength(2);
    expect(world.engine.cancelRun).not.toHaveBeenCalled();
  });

  it('supersedes for a branch and runs beside for a git tag, where the chain does not say', async () => {
    const { repository } = await seedWorld(null);
    for (const ref of ['refs/heads/main', 'refs/tags/v1']) {
      await world.push(repository, { ref, after: a });
      await world.push(repository, { ref, after: b });
    }
    const links = (await world.runsOf(repository)).map(({ ref, superseded_by_id: by }) => [ref, by !== null]);
    expect(links).toEqual([
      ['main', true],
      ['main', false],
      ['v1', false],
      ['v1', false],
    ]);
    const context = await findRunContext(world.deps.db, repository.id);
    if (context === undefined) throw new Error('the repository is there');
    expect([sourceConcurrency(context, 'branch'), sourceConcurrency(context, 'tag')]).toEqual([
      'supersede',
      'parallel',
    ]);
  });
});

describe('runs of other refs, rules and chains', () => {
  it('never give way to each other', async () => {
    const { repository } = await seedWorld('supersede');
    await seedBuildRule(world.deps.db, repository.id, { ...anyBranch, dockerfile: 'other/Dockerfile' });
    await world.push(repository, { ref: 'refs/heads/one', after: a });
    await world.push(repository, { ref: 'refs/heads/two', after: b });
    expect((await world.runsOf(repository)).map((run) => run.superseded_by_id)).toEqual([null, null, null, null]);
  });

  it('outside a chain all go side by side', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, anyBranch);
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    expect(await numbersOf(repository)).toEqual([
      [0, 'queued', false],
      [0, 'queued', false],
    ]);
  });
});

describe('a superseded run', () => {
  it('lets the same commit be built again by a push back to it', async () => {
    const { repository } = await seedWorld('supersede');
    for (const after of [a, b, a]) await world.push(repository, { after });
    const runs = await world.runsOf(repository);
    expect(runs.map((run) => run.commit)).toEqual([a, b, a]);
    expect(runs.map((run) => run.superseded_by_id)).toEqual([runs[1]?.id, runs[2]?.id, null]);
  });

  it('that was never started ends without a workflow, and a start on its way is undone', async () => {
    const { repository } = await seedWorld('supersede');
    world.engine.startRun.mockRejectedValue(new Error('no connection'));
    world.engine.cancelRun.mockResolvedValue('not_found');
    await world.push(repository, { after: a });
    const [unstarted] = await world.runsOf(repository);
    await world.push(repository, { after: b });
    const [older] = await world.runsOf(repository);
    expect(older).toMatchObject({ status: 'canceled', reason: { code: 'superseded' } });
    world.engine.startRun.mockResolvedValue({ workflowRunId: 'late' });
    world.engine.cancelRun.mockClear();
    if (unstarted !== undefined) await world.createReader().start(unstarted);
    expect(world.engine.cancelRun).toHaveBeenCalledWith(older?.workflow_id);
  });

  it('is stopped by the sweeper when the engine was away, and is not started by it', async () => {
    const { repository } = await seedWorld('supersede');
    world.engine.startRun.mockRejectedValue(new Error('no connection'));
    world.engine.cancelRun.mockRejectedValue(new Error('no connection'));
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    const [older, newer] = await world.runsOf(repository);
    expect(older).toMatchObject({ status: 'queued', superseded_by_id: newer?.id });
    world.engine.startRun.mockReset().mockResolvedValue({ workflowRunId: 'engine-run' });
    world.engine.cancelRun.mockReset().mockResolvedValue('not_found');
    world.passTime(60_000);
    await world.createReader().sweep();
    expect(startedIds(repository)).toEqual([newer?.id]);
    expect((await world.runsOf(repository))[0]).toMatchObject({ status: 'canceled', reason: { code: 'superseded' } });
  });

  it('that succeeded before it could be stopped gave way to nobody', async () => {
    const { repository } = await seedWorld('supersede');
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    const [older, newer] = await world.runsOf(repository);
    await end(older?.id ?? '', 'success');
    expect(await record(older?.id ?? '')).toMatchObject({ result: 'success', supersededBy: null });
    expect(await record(newer?.id ?? '')).toMatchObject({ supersedes: null });
  });
});

describe('a run that waits for its turn', () => {
  it('is announced to every API process when it may start', async () => {
    const { repository } = await seedWorld('queue');
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    const [first, second] = await world.runsOf(repository);
    let notice: (payload: string | null) => void = () => {};
    const on = (channel: string, handler: typeof notice) => {
      if (channel === 'slipway_start') notice = handler;
      return () => {};
    };
    const stop = world.createReader({ on }).watch();
    await end(first?.id ?? '', 'success');
    notice(second?.id ?? '');
    await vi.waitFor(() => expect(startedIds(repository)).toEqual([first?.id, second?.id]));
    await stop();
  });

  it('is released when the run before was canceled without a workflow, and can be canceled itself', async () => {
    const { repository } = await seedWorld('queue');
    vi.mocked(world.deps.engine.cancelRun).mockResolvedValue('not_found');
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    const [first, second] = await world.runsOf(repository);
    await world.call('POST', `/v1/runs/${first?.id}/cancel`);
    expect((await world.runsOf(repository))[1]).toMatchObject({ status: 'queued', is_waiting: false });
    await world.push(repository, { after: c });
    const third = (await world.runsOf(repository)).at(-1);
    expect(third).toMatchObject({ is_waiting: true });
    vi.mocked(world.deps.engine.cancelRun).mockRejectedValue(new Error('no connection'));
    await world.call('POST', `/v1/runs/${third?.id}/cancel`);
    expect((await world.runsOf(repository)).at(-1)).toMatchObject({ status: 'canceled', result: 'canceled' });
    expect(second?.id).toBe((await world.runsOf(repository))[1]?.id);
  });

  it('is released by the sweeper when what it waited for is gone', async () => {
    const { repository } = await seedWorld('queue');
    await world.push(repository, { after: a });
    await world.push(repository, { after: b });
    const [first, second] = await world.runsOf(repository);
    await world.deps.db
      .deleteFrom('run')
      .where('id', '=', first?.id ?? '')
      .execute();
    world.passTime(60_000);
    await world.createReader().sweep();
    expect(startedIds(repository)).toEqual([first?.id, second?.id]);
  });

  it('is one at a time however many pushes and ends come at once', async () => {
    const { repository } = await seedWorld('queue');
    await world.push(repository, { after: a });
    const commits = Array.from({ length: 8 }, (_, index) => `${index + 1}`.repeat(40));
    const [first] = await world.runsOf(repository);
    await Promise.all([end(first?.id ?? '', 'success'), ...commits.map((after) => world.push(repository, { after }))]);
    const live = (await world.runsOf(repository)).filter(({ status }) => status === 'queued');
    expect(live.filter((run) => !run.is_waiting)).toHaveLength(1);
    expect(live.filter((run) => run.is_waiting).length).toBeLessThanOrEqual(1);
  });
});

describe('a chain started by hand from a tag', () => {
  it('supersedes the run of the same tag and leaves those of other tags alone', async () => {
    const { repository, chainId } = await seedWorld(null);
    const head = { digest: `sha256:${'d'.repeat(64)}`, mediaType: 'application/json', size: 1 };
    const client = await world.deps.registries.client('x', []);
    vi.mocked(world.deps.registries.client).mockResolvedValue({ ...client, manifestHead: async () => head });
    for (const tag of ['v1', 'v2', 'v1']) {
      const body = { repository: repository.id, tag };
      expect((await world.call('POST', `/v1/chains/${chainId}/runs`, { body })).status).toBe(202);
    }
    const runs = await world.runsOf(repository);
    expect(runs.map((run) => run.superseded_by_id)).toEqual([runs[2]?.id, null, null]);
  });
});
