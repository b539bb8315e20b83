import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { insertCatchUp } from '../../db/repositories/inbox.ts';
import type { HostTips } from '../../domain/late-push.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';
import { githubPush } from '../support/source-push.ts';
import { deliveryOf } from '../support/source-sender.ts';
import { sourceSenders } from '../support/source-senders.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
beforeEach(() => {
  world.sourceTips.read.mockReset().mockResolvedValue(null);
});
afterAll(() => world.close());

const sha = (letter: string) => letter.repeat(40);
const latest = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

/** The host has `main` here, or nowhere. */
function mainAt(commit: string | null, objectId = commit ?? ''): HostTips {
  return new Map(commit === null ? [] : [['refs/heads/main', { commit, objectId }]]);
}

async function seedChained(concurrency: 'supersede' | 'queue' | 'parallel' | null): Promise<SeededRepository> {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, latest);
  await seedChain(world.deps.db, repository.instanceId, { name: 'all', concurrency });
  return repository;
}

async function tipOf({ id }: SeededRepository) {
  const refs = world.deps.db.selectFrom('source_ref').select('tip').where('repository_id', '=', id);
  return (await refs.executeTakeFirst())?.tip ?? null;
}

describe('a push that comes when its host is further on', () => {
  it.each([null, 'supersede', 'queue'] as const)(
    'is superseded where runs of a ref follow each other (%s)',
    async (concurrency) => {
      const repository = await seedChained(concurrency);
      world.sourceTips.read.mockResolvedValue(mainAt(sha('c')));
      await world.push(repository, { after: sha('b') });
      expect(await world.outcomesOf(repository)).toEqual([{ kind: 'superseded', by: sha('c') }]);
      expect(await world.runsOf(repository)).toEqual([]);
      expect(await tipOf(repository)).toBeNull();

      await world.push(repository, { before: sha('b'), after: sha('c') });
      expect((await world.runsOf(repository)).map((run) => run.commit)).toEqual([sha('c')]);
    },
  );

  it('is built beside the newer one where they go side by side, and may move no tag', async () => {
    const repository = await seedChained('parallel');
    world.sourceTips.read.mockResolvedValue(mainAt(sha('c')));
    await world.push(repository, { after: sha('c') });
    await world.push(repository, { after: sha('b') });
    const [late, newest] = await world.runsOf(repository);
    expect(late).toMatchObject({ commit: sha('b'), order_no: 0 });
    expect(newest).toMatchObject({ commit: sha('c') });
    expect(await tipOf(repository)).toBe(sha('c'));
  });

  it('fifty times, shuffled, ends with one run: of what the host has', async () => {
    const repository = await seedChained(null);
    const commits = Array.from({ length: 50 }, (_, index) => String(index + 10).padEnd(40, 'a'));
    const newest = commits.at(-1) ?? '';
    world.sourceTips.read.mockResolvedValue(mainAt(newest));
    const pushes = commits.map((after, index) =>
      githubPush(repository.hookSecret, { before: commits[index - 1] ?? '0'.repeat(40), after }),
    );
    // A fixed shuffle: every seventeenth of fifty visits all of them.
    const shuffled = pushes
      .map((_, index) => pushes[(index * 17) % pushes.length])
      .filter((push) => push !== undefined);
    await Promise.all(shuffled.map((push) => world.deliver(repository.hookId, push)));
    await world.dispatchAll();
    expect((await world.runsOf(repository)).map((run) => run.commit)).toEqual([newest]);
    const kinds = (await world.outcomesOf(repository)).map((outcome) => Object(outcome).kind);
    expect(kinds.filter((kind) => kind === 'superseded')).toHaveLength(49);
    expect(await tipOf(repository)).toBe(newest);
    expect(await world.violations()).toEqual([]);
  });
});

describe('what a host says of a ref', () => {
  it('counts for the object of an annotated tag too, whose commit is built', async () => {
    const repository = await seedChained(null);
    world.sourceTips.read.mockResolvedValue(mainAt(sha('c'), sha('d')));
    await world.push(repository, { after: sha('d') });
    expect((await world.runsOf(repository)).map((run) => run.commit)).toEqual([sha('c')]);
  });

  it('that is gone means: deleted since', async () => {
    const repository = await seedChained(null);
    world.sourceTips.read.mockResolvedValue(mainAt(null));
    await world.push(repository, { before: sha('a'), after: sha('b') });
    expect(await world.outcomesOf(repository)).toEqual([{ kind: 'ignored', reason: 'ref_deleted' }]);
  });

  it('is asked again where it shows what was there before the push: it may not have caught up with its own hook', async () => {
    const repository = await seedChained(null);
    world.sourceTips.read.mockResolvedValueOnce(mainAt(sha('a'))).mockResolvedValueOnce(mainAt(sha('b')));
    await world.push(repository, { before: sha('a'), after: sha('b') });
    expect((await world.runsOf(repository)).map((run) => run.commit)).toEqual([sha('b')]);
  });

  it('is not waited for: a host that does not answer holds up nobody else, and its push is built in the end', async () => {
    const [slow, quick] = [await seedChained(null), await seedChained(null)];
    let answer = (_tips: null) => {};
    const late = new Promise<null>((resolve) => (answer = resolve));
    world.sourceTips.read.mockImplementation((id) => (id === slow.id ? late : Promise.resolve(null)));
    await world.deliver(slow.hookId, githubPush(slow.hookSecret, {}));
    await world.deliver(quick.hookId, githubPush(quick.hookSecret, {}));
    const dispatching = world.dispatchAll();
    await vi.waitFor(async () => expect(await world.runsOf(quick)).toHaveLength(1), { timeout: 10_000 });
    expect(await world.runsOf(slow)).toEqual([]);
    answer(null);
    await dispatching;
    expect(await world.runsOf(slow)).toHaveLength(1);
  });

  it.each([
    ['no rule takes the ref', {}, { ref: 'refs/heads/other' }],
    ['the ref was deleted', {}, { deleted: true, after: '0'.repeat(40) }],
    ['automatic builds are off', { isAutoBuild: false }, {}],
  ])('is not asked when %s', async (_what, more, payload) => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox, more);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await world.push(repository, payload);
    expect(world.sourceTips.read).not.toHaveBeenCalled();
  });

  it('is asked for a missed push too, which is built with its own cause', async () => {
    const repository = await seedChained(null);
    const missed = { repositoryId: repository.id, hookId: repository.hookId, ref: 'main', refType: 'branch' as const };
    await insertCatchUp(world.deps.db, { ...missed, commit: sha('b'), before: null, orderNo: 0 });
    await world.dispatchAll();
    expect(await world.runsOf(repository)).toMatchObject([{ cause: 'catch_up', commit: sha('b') }]);
    expect(world.sourceTips.read).toHaveBeenCalledTimes(1);
  });
});

describe('a host that signs no bodies', () => {
  const gitee = sourceSenders.find(([, { host }]) => host === 'gitee')?.[1];
  if (gitee === undefined) throw new Error('There is no sender of Gitee.');
  const [told] = gitee.pushes.branch.means;
  const giteeTip = (commit: string): HostTips => new Map([['refs/heads/feat-2-1', { commit, objectId: commit }]]);

  async function deliverGitee(push = gitee?.pushes.branch) {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox, { host: 'gitee' });
    await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'branch', name: 'feat.*', match: 'regexp' },
      imageTags: [{ template: 'feature' }],
    });
    if (gitee === undefined || push === undefined) throw new Error('There is nothing to deliver.');
    await world.deliver(
      repository.hookId,
      deliveryOf(gitee, { secret: repository.hookSecret, push, at: world.clock() }),
    );
    return repository;
  }

  it('is believed in what it says the ref is only: what is built is what stands there', async () => {
    world.sourceTips.read.mockResolvedValue(giteeTip(sha('e')));
    const repository = await deliverGitee();
    await world.dispatchAll();
    expect(await world.runsOf(repository)).toMatchObject([{ ref: 'feat-2-1', commit: sha('e'), message: null }]);
  });

  it('keeps its message where the ref stands where it said', async () => {
    world.sourceTips.read.mockResolvedValue(giteeTip(told?.commit ?? ''));
    const repository = await deliverGitee();
    await world.dispatchAll();
    expect(await world.runsOf(repository)).toMatchObject([{ commit: told?.commit, message: 'feat-2-1\n' }]);
  });

  it('cannot delete by word of mouth', async () => {
    world.sourceTips.read.mockResolvedValue(new Map([['refs/heads/feat-3', { commit: sha('e'), objectId: sha('e') }]]));
    const repository = await deliverGitee(gitee.pushes.remove);
    await world.dispatchAll();
    expect(await world.runsOf(repository)).toMatchObject([{ ref: 'feat-3', commit: sha('e') }]);
  });

  it('that cannot be asked is asked again later, and nothing is built until then', async () => {
    const repository = await deliverGitee();
    const reader = world.createReader();
    await reader.dispatchAll();
    expect(await world.runsOf(repository)).toEqual([]);
    expect(await world.outcomesOf(repository)).toEqual([null]);
    world.sourceTips.read.mockResolvedValue(giteeTip(sha('e')));
    world.passTime(5_000);
    await reader.dispatchAll();
    expect(await world.runsOf(repository)).toHaveLength(1);
  });

  it('has neither its password nor its signature kept', async () => {
    const push = { ...gitee.pushes.branch, body: { ...Object(gitee.pushes.branch.body), password: 'canary-password' } };
    const repository = await deliverGitee(push);
    const row = await world.deps.db
      .selectFrom('inbox')
      .select('body')
      .where('hook_id', '=', repository.hookId)
      .executeTakeFirstOrThrow();
    const { gunzipSync } = await import('node:zlib');
    const kept = gunzipSync(row.body ?? '').toString();
    expect(kept).toContain('"ref":"refs/heads/feat-2-1"');
    expect(kept).not.toMatch(/canary-password|OyjGt7PDU9x/);
  });
});

describe('a rule with a path filter', () => {
  async function seedFiltered() {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, {
      ...latest,
      paths: { include: ['web/'], exclude: ['**/*.md'] },
    });
    // What was last seen of the ref.
    await world.push(repository, { before: '0'.repeat(40), after: sha('a') });
    await world.endRuns(repository, 'success');
    return repository;
  }
  const pushOf = (before: string, after: string, files: readonly string[]) => ({
    before: sha(before),
    after: sha(after),
    commits: [{ id: sha(after), added: [], modified: files, removed: [] }],
  });

  it.each([
    ['ignores a push that touched nothing it names', ['api/main.go', 'web/README.md'], 'paths'],
    ['builds a push that did', ['api/main.go', 'web/index.html'], undefined],
  ])('%s', async (_what, files, reason) => {
    const repository = await seedFiltered();
    await world.push(repository, pushOf('a', 'b', files));
    const outcome = (await world.outcomesOf(repository)).at(-1);
    expect(outcome).toMatchObject(reason === undefined ? { kind: 'runs' } : { kind: 'ignored', reason });
  });

  it('ignores the same push told a second time as well', async () => {
    const repository = await seedFiltered();
    for (let time = 0; time < 2; time += 1) await world.push(repository, pushOf('a', 'b', ['api/main.go']));
    expect((await world.outcomesOf(repository)).slice(1)).toEqual([
      { kind: 'ignored', reason: 'paths' },
      { kind: 'ignored', reason: 'paths' },
    ]);
  });

  it.each([
    ['was forced', { ...pushOf('a', 'c', ['api/main.go']), forced: true }],
    ['follows a commit nobody saw', pushOf('b', 'c', ['api/main.go'])],
    ['lists no files', { before: sha('a'), after: sha('c'), commits: [{ id: sha('c') }] }],
  ])('builds a push that %s: what it touched is not known', async (_what, payload) => {
    const repository = await seedFiltered();
    await world.push(repository, payload);
    expect((await world.runsOf(repository)).map((run) => run.commit)).toEqual([sha('a'), sha('c')]);
  });

  it('builds after a superseded push, whose files the newer one does not list', async () => {
    const repository = await seedFiltered();
    await seedChain(world.deps.db, repository.instanceId, { name: 'all' });
    world.sourceTips.read.mockResolvedValue(mainAt(sha('c')));
    await world.push(repository, pushOf('a', 'b', ['web/index.html']));
    await world.push(repository, pushOf('b', 'c', ['api/main.go']));
    expect((await world.outcomesOf(repository)).slice(1)).toMatchObject([{ kind: 'superseded' }, { kind: 'runs' }]);
  });
});
