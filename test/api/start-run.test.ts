import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { inboxChannel } from '../../db/repositories/inbox.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import { githubPush } from '../support/source-push.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const latest = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

describe('while Temporal is away', () => {
  it('twenty deliveries are all accepted, and all their runs are started once it is back', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    world.engine.startRun.mockRejectedValue(new Error('no connection'));
    const commits = Array.from({ length: 20 }, (_, index) => index.toString(16).padStart(40, '0').replace(/^0/, 'e'));
    for (const after of commits) {
      const answer = await world.deliver(repository.hookId, githubPush(repository.hookSecret, { after }));
      expect(answer.status).toBe(202);
    }
    await world.dispatchAll();
    expect((await world.runsOf(repository)).map((run) => [run.status, run.started_note_at])).toEqual(
      commits.map(() => ['queued', null]),
    );

    world.engine.startRun.mockReset().mockResolvedValue({ workflowRunId: 'engine-run' });
    const { sweep } = world.createReader();
    expect(await sweep()).toBe(0);
    world.passTime(31_000);
    expect(await sweep()).toBe(20);
    expect(
      world.engine.startRun.mock.calls.map(([input]) => input.origin.kind === 'source' && input.origin.source.commit),
    ).toEqual(commits);
    expect((await world.runsOf(repository)).every((run) => run.started_note_at !== null)).toBe(true);
    expect(await sweep()).toBe(0);
  });
});

describe('a process that reads the inbox', () => {
  it('takes up what is pending, then each delivery as its notice comes, until it is stopped', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    const push = (after: string) => world.deliver(repository.hookId, githubPush(repository.hookSecret, { after }));
    let notice: (payload: string | null) => void = () => {};
    const stopListening = vi.fn<() => void>();
    const on = (channel: string, handler: typeof notice) => {
      if (channel !== inboxChannel) return () => {};
      notice = handler;
      return stopListening;
    };
    await push('a'.repeat(40));
    const stop = world.createReader({ on }).watch();
    await vi.waitFor(async () => expect(await world.runsOf(repository)).toHaveLength(1));
    await push('b'.repeat(40));
    notice('');
    await vi.waitFor(async () => expect(await world.runsOf(repository)).toHaveLength(2), { timeout: 900 });
    await stop();
    expect(stopListening).toHaveBeenCalledOnce();
    await push('c'.repeat(40));
    notice('');
    expect(await world.runsOf(repository)).toHaveLength(2);
  });

  it('beside others handles each delivery once', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    const commits = Array.from({ length: 10 }, (_, index) => `${index}`.padStart(40, 'd'));
    for (const after of commits) await world.deliver(repository.hookId, githubPush(repository.hookSecret, { after }));
    await Promise.all(Array.from({ length: 3 }, () => world.createReader().dispatchAll()));
    await world.dispatchAll();
    expect((await world.runsOf(repository)).map((run) => run.commit)).toEqual(commits);
  });
});

describe('a delivery that fails through a defect', () => {
  it('waits, holds up later deliveries of its repository only, and is set aside after ten attempts', async () => {
    const broken = await seedRepository(world.deps.db, world.deps.secretBox);
    const sound = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, broken.id, latest);
    await seedBuildRule(world.deps.db, sound.id, latest);
    await world.deliver(broken.hookId, githubPush(broken.hookSecret, {}));
    await world.deps.db
      .updateTable('inbox')
      .set({ body: Buffer.from('not gzip') })
      .where('hook_id', '=', broken.hookId)
      .execute();
    await world.deliver(broken.hookId, githubPush(broken.hookSecret, { after: 'b'.repeat(40) }));
    await world.deliver(sound.hookId, githubPush(sound.hookSecret, {}));

    const { dispatchAll } = world.createReader();
    await dispatchAll();
    expect(await world.runsOf(sound)).toHaveLength(1);
    expect(await world.outcomesOf(broken)).toEqual([null, null]);
    for (let attempt = 2; attempt <= 10; attempt += 1) {
      world.passTime(61_000);
      await dispatchAll();
    }
    expect(await world.outcomesOf(broken)).toEqual([
      { kind: 'invalid', reason: expect.stringContaining('10 times') },
      { kind: 'runs', runs: [expect.any(String)] },
    ]);
  });
});
