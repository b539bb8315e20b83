import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startReplicationTasks } from '../../db/repositories/replicate.ts';
import { textAt } from '../support/api.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;

/** A repository with one run of its chain that has built an image. */
async function seedRun() {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'v1' }, { template: 'v2' }],
  });
  await seedChain(world.deps.db, repository.instanceId, { name: 'main' });
  await world.push(repository, {});
  const [run] = await world.runsOf(repository);
  await setRun({ digest: digestOf('a') });
  function setRun(values: { digest?: string; result?: 'denied'; ended_at?: Date }) {
    return world.deps.db.updateTable('run').set(values).where('repository_id', '=', repository.id).execute();
  }
  return {
    repository,
    runId: run?.id ?? '',
    buildId: run?.build_id ?? '',
    setRun,
    tags: `/v1/repositories/${repository.id}/tags`,
  };
}

describe('the tags of a repository', () => {
  it('that point are shown with digest, architectures, run and scan', async () => {
    const { repository, runId, buildId, tags } = await seedRun();
    const at = world.clock();
    await world.deps.db
      .updateTable('build_architecture')
      .set({ digest: digestOf('b'), size_bytes: 900 })
      .where('build_id', '=', buildId)
      .execute();
    for (const tag of ['v1', 'v2'])
      await world.deps.db
        .insertInto('tag_pointer')
        .values({
          repository_id: repository.id,
          tag,
          order_no: 1,
          digest: digestOf('a'),
          previous_digest: null,
          run_id: runId,
          sequence: 1,
          moved_at: at,
        })
        .execute();
    await world.deps.db
      .insertInto('scan')
      .values({
        id: `scan-${runId}`,
        run_id: runId,
        attempt: 1,
        repository_id: repository.id,
        digest: digestOf('a'),
        engine: 'trivy',
        status: 'complete',
        verdict: 'passed',
        reason: JSON.stringify(null),
        created_at: at,
        ended_at: at,
      })
      .execute();
    const shown = {
      state: 'tagged',
      digest: digestOf('a'),
      previousDigest: null,
      sizeBytes: 900,
      platforms: ['linux/amd64'],
      pushedAt: at.toISOString(),
      run: runId,
      scan: { id: `scan-${runId}`, status: 'complete', verdict: 'passed' },
    };
    const first = await world.call('GET', `${tags}?limit=1`);
    expect(first.body?.['items']).toEqual([{ tag: 'v2', ...shown }]);
    const next = await world.call('GET', `${tags}?limit=1&cursor=${String(first.body?.['nextCursor'])}`);
    expect(next.body).toEqual({ items: [{ tag: 'v1', ...shown }], nextCursor: null });
    expect((await world.call('GET', `${tags}/v1`)).body).toEqual({ tag: 'v1', ...shown });
  });

  it('that wait for the verdict are held; denied they are blocked; with the image deleted they are gone', async () => {
    const { runId, setRun, tags } = await seedRun();
    expect((await world.call('GET', tags)).body?.['items']).toMatchObject([
      { tag: 'v2', state: 'held', digest: digestOf('a') },
      { tag: 'v1', state: 'held' },
    ]);
    await setRun({ result: 'denied', ended_at: world.clock() });
    expect((await world.call('GET', `${tags}/v1`)).body).toMatchObject({ state: 'blocked', run: runId, scan: null });
    await world.deps.db
      .updateTable('run_step')
      .set({ result: JSON.stringify({ isDeleted: true }) })
      .where('run_id', '=', runId)
      .where('name', '=', 'scan')
      .execute();
    expect((await world.call('GET', tags)).body?.['items']).toEqual([]);
  });

  it('nobody knows are 404, without a login 401', async () => {
    const { tags } = await seedRun();
    expect(await world.call('GET', `${tags}/none`)).toMatchObject({ status: 404, body: { code: 'tag.not_found' } });
    expect(await world.call('GET', '/v1/repositories/none/tags')).toMatchObject({
      status: 404,
      body: { code: 'repository.not_found' },
    });
    expect((await world.call('GET', tags, { isLoggedIn: false })).status).toBe(401);
  });
});

describe('copies', () => {
  it('are listed by run, rule and status, and read one by one', async () => {
    const { runId } = await seedRun();
    const target = {
      ruleId: 'crsr-1',
      instance: 'singapore',
      namespace: 'shop',
      repository: 'web',
      isOverrideAllowed: true,
      bandwidthKiBs: 0,
    };
    const targets = ['v1', 'v2'].map((tag) => ({ ...target, tag, key: `singapore/shop/web:${tag}` }));
    const [task] = await startReplicationTasks(world.deps.db, {
      runId,
      digest: digestOf('a'),
      targets,
      at: world.clock(),
    });
    const list = await world.call('GET', `/v1/replication-tasks?run=${runId}&rule=crsr-1&status=running`);
    expect(list.body?.['items']).toHaveLength(2);
    expect((await world.call('GET', `/v1/replication-tasks?run=${runId}&status=failed`)).body?.['items']).toEqual([]);
    expect((await world.call('GET', `/v1/replication-tasks/${task?.id}`)).body).toMatchObject({
      id: task?.id,
      run: runId,
      rule: 'crsr-1',
      destination: task?.destination_key,
      status: 'running',
      bytes: { total: 0, copied: 0 },
      blobs: { copied: 0, mounted: 0, skipped: 0 },
      verifiedAt: null,
    });
    expect(await world.call('GET', '/v1/replication-tasks/none')).toMatchObject({
      status: 404,
      body: { code: 'replication_task.not_found' },
    });
    expect((await world.call('GET', '/v1/replication-tasks', { isLoggedIn: false })).status).toBe(401);
  });
});

describe('source events', () => {
  it('show each delivery with what became of it, newest first, by pages', async () => {
    const { repository, runId } = await seedRun();
    await world.push(repository, { ref: 'refs/heads/other' });
    const path = `/v1/repositories/${repository.id}/source-events`;
    const first = await world.call('GET', `${path}?limit=1`);
    expect(first.body?.['items']).toMatchObject([
      { event: 'push', host: 'github', state: 'handled', outcome: { kind: 'ignored', reason: 'no_rule' } },
    ]);
    const next = await world.call('GET', `${path}?limit=1&cursor=${String(first.body?.['nextCursor'])}`);
    expect(next.body).toMatchObject({ items: [{ outcome: { kind: 'runs', runs: [runId] } }], nextCursor: null });
    expect((await world.call('GET', path, { isLoggedIn: false })).status).toBe(401);
  });

  it('can be narrowed to what came of them, and name the runs and builds that stand behind it', async () => {
    const { repository, runId, buildId } = await seedRun();
    await world.push(repository, {});
    await world.push(repository, { ref: 'refs/heads/other' });
    const path = `/v1/repositories/${repository.id}/source-events`;
    const started = await world.call('GET', `${path}?outcome=runs`);
    const run = { id: runId, chain: 'main', number: 1, build: buildId, status: 'queued', result: null };
    expect(started.body).toMatchObject({ items: [{ outcome: { kind: 'runs' }, runs: [run] }], nextCursor: null });
    const again = await world.call('GET', `${path}?outcome=duplicate`);
    expect(again.body?.['items']).toMatchObject([{ outcome: { kind: 'duplicate', of: runId }, runs: [run] }]);
    expect((await world.call('GET', `${path}?outcome=pending`)).body).toMatchObject({ items: [] });
    const page = await world.call('GET', `${path}?limit=1`);
    const otherList = await world.call(
      'GET',
      `${path}?limit=1&outcome=runs&cursor=${String(page.body?.['nextCursor'])}`,
    );
    expect(textAt(otherList, 'code')).toBe('cursor.invalid');
    expect((await world.call('GET', `${path}?outcome=made-up`)).status).toBe(422);
  });

  it('of builds outside a chain name the build, which has no Record', async () => {
    const { db, secretBox } = world.deps;
    const repository = await seedRepository(db, secretBox);
    await seedBuildRule(db, repository.id, { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'v1' }] });
    await world.push(repository, {});
    const { body } = await world.call('GET', `/v1/repositories/${repository.id}/source-events`);
    expect(body?.['items']).toMatchObject([{ runs: [{ chain: null, number: 0, build: expect.any(String) }] }]);
  });
});
