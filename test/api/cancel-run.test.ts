import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordRunStart } from '../../db/repositories/record.ts';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
import { AppError } from '../../domain/errors.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  vi.mocked(world.deps.git.refResolve).mockReset().mockResolvedValue('c'.repeat(40));
  vi.mocked(world.deps.engine.cancelRun).mockReset().mockResolvedValue('canceling');
});

const latest = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

/** A repository under a chain with one rule that builds `main`. */
async function seedWorld(rule: unknown = latest) {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  const ruleId = await seedBuildRule(world.deps.db, repository.id, rule);
  const chainId = await seedChain(world.deps.db, repository.instanceId, { name: 'main' });
  return { repository, ruleId, chainId };
}

const start = (chainId: string, body: unknown) => world.call('POST', `/v1/chains/${chainId}/runs`, { body });

describe('canceling a run', () => {
  it('tells its workflow and shows it canceling, with who asked; asking again is fine', async () => {
    const { repository, chainId } = await seedWorld();
    const id = String((await start(chainId, { repository: repository.id })).body?.['id']);
    await recordRunStart(world.deps.db, { runId: id, at: world.clock() });
    for (let ask = 0; ask < 2; ask += 1) {
      const answer = await world.call('POST', `/v1/runs/${id}/cancel`, { body: {} });
      expect(answer).toMatchObject({ status: 202, body: { status: 'canceling', cancelRequestedBy: 'administrator' } });
    }
    expect(world.deps.engine.cancelRun).toHaveBeenCalledWith(`chain/${chainId}/api/${id}`);
    const events = await world.call('GET', `/v1/runs/${id}/events`);
    expect(JSON.stringify(events.body).match(/run\.canceling/g)).toHaveLength(1);
  });

  it('that no workflow has yet ends it at once, and a start on its way is undone', async () => {
    const { repository, chainId } = await seedWorld();
    const id = String((await start(chainId, { repository: repository.id })).body?.['id']);
    vi.mocked(world.deps.engine.cancelRun).mockResolvedValue('not_found');
    const [before] = await world.runsOf(repository);
    expect(await world.call('POST', `/v1/runs/${id}/cancel`)).toMatchObject({
      status: 202,
      body: {
        status: 'canceled',
        result: 'canceled',
        steps: expect.arrayContaining([expect.objectContaining({ name: 'build', state: 'skipped' })]),
      },
    });
    world.engine.cancelRun.mockClear();
    if (before !== undefined) await world.createReader().start(before);
    expect(world.engine.cancelRun).toHaveBeenCalledWith(before?.workflow_id);
  });

  it('that has ended is refused', async () => {
    const { repository, chainId } = await seedWorld();
    const id = String((await start(chainId, { repository: repository.id })).body?.['id']);
    const reason = { code: 'run.success', params: {}, text: 'Succeeded' };
    await recordRunEnd(world.deps.db, { runId: id, attempt: 1, result: 'success', reason, at: world.clock() });
    expect(await world.call('POST', `/v1/runs/${id}/cancel`)).toMatchObject({
      status: 409,
      body: { code: 'run.already_finished' },
    });
  });

  it('while Temporal is away changes nothing and says when to ask again', async () => {
    const { repository, chainId } = await seedWorld();
    const id = String((await start(chainId, { repository: repository.id })).body?.['id']);
    vi.mocked(world.deps.engine.cancelRun).mockRejectedValue(
      new AppError(503, 'temporal.unreachable', 'away', { extra: { retryAfterSeconds: 5 } }),
    );
    const answer = await world.call('POST', `/v1/runs/${id}/cancel`);
    expect(answer).toMatchObject({ status: 503, body: { code: 'temporal.unreachable' } });
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(await world.call('GET', `/v1/runs/${id}`)).toMatchObject({ body: { status: 'queued' } });
  });
});
