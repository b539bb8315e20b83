import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedReplicationRule, seedRepository, seedTrigger } from '../support/seed.ts';
import { genericPush, githubPush } from '../support/source-push.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const latest = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

describe('a push of a commit', () => {
  it('starts one run in the covering chain, with everything the chain then was', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const ruleId = await seedBuildRule(world.deps.db, repository.id, latest);
    const chainId = await seedChain(world.deps.db, repository.instanceId, {
      name: 'main',
      scope: { namespace: repository.namespace, repository: 'app' },
    });
    const triggerId = await seedTrigger(world.deps.db, world.deps.secretBox, repository, {
      name: 'deploy',
      url: 'https://deploy.example.com/?key=canary',
    });
    const copyId = await seedReplicationRule(world.deps.db, repository.instanceId, {
      name: 'to-singapore',
      level: 'namespace',
      source: { namespace: repository.namespace },
      destination: { region: 'ap-southeast-1', instance: 'singapore' },
    });
    await world.deliver(
      repository.hookId,
      githubPush(
        repository.hookSecret,
        { head_commit: { id: 'a'.repeat(40), message: 'fix', author: { name: 'Ada' } } },
        { deliveryId: 'd-7' },
      ),
    );
    await world.dispatchAll();

    const [run, ...others] = await world.runsOf(repository);
    expect(others).toEqual([]);
    expect(run).toMatchObject({
      number: 1,
      chain_id: chainId,
      chain_version: 1,
      cause: 'source_push',
      actor: 'octocat',
      ref: 'main',
      ref_type: 'branch',
      commit: 'a'.repeat(40),
      message: 'fix',
      author: 'Ada',
      status: 'queued',
      tags: ['latest'],
      workflow_id: `chain/${chainId}/hook/${repository.hookId}/d-7/${ruleId}`,
      workflow_run_id: 'engine-run',
      started_note_at: world.clock(),
    });
    expect(run?.input).toEqual(world.engine.startRun.mock.calls[0]?.[0]);
    expect(run?.input).toMatchObject({
      repository: { namespace: repository.namespace, name: 'app', region: 'cn-hangzhou' },
      chain: {
        id: chainId,
        isReplicateOn: true,
        replicationRules: [{ id: copyId }],
        triggers: [{ id: triggerId, name: 'deploy', condition: { kind: 'all' } }],
      },
      origin: { kind: 'source', tags: ['latest'], isCached: true, rule: { id: ruleId } },
    });
    expect(JSON.stringify(run?.input)).not.toContain('canary');
    expect(run?.trigger_snapshots).toMatchObject([
      { id: triggerId, definition: { url: 'https://deploy.example.com/?key=canary' } },
    ]);
    expect(await world.outcomesOf(repository)).toEqual([{ kind: 'runs', runs: [run?.id] }]);
    const steps = await world.deps.db
      .selectFrom('run_step')
      .select(['name', 'state'])
      .where('run_id', '=', run?.id ?? '')
      .orderBy('ordinal')
      .execute();
    expect(steps.map((step) => `${step.name} ${step.state}`)).toEqual([
      'build waiting',
      'push waiting',
      'scan waiting',
      'replicate waiting',
      'trigger waiting',
    ]);
    const events = await world.deps.db
      .selectFrom('run_event')
      .select('type')
      .where('run_id', '=', run?.id ?? '')
      .execute();
    expect(events).toEqual([{ type: 'run.queued' }]);
  });

  it('delivered a hundred times at once is one row and one run', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    const push = githubPush(repository.hookSecret, {});
    const answers = await Promise.all(Array.from({ length: 100 }, () => world.deliver(repository.hookId, push)));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([202]));
    expect(answers.filter((answer) => answer.body?.['duplicate'] === false)).toHaveLength(1);
    await Promise.all([world.createReader().dispatchAll(), world.createReader().dispatchAll()]);
    expect(await world.outcomesOf(repository)).toHaveLength(1);
    expect(await world.runsOf(repository)).toHaveLength(1);
    expect(await world.violations()).toEqual([]);
  });

  it('told by a second delivery is a duplicate of the first run, also when that has ended', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await world.push(repository, {});
    await world.push(repository, {});
    await world.endRuns(repository, 'failed');
    await world.push(repository, {});
    const [run, ...others] = await world.runsOf(repository);
    expect(others).toEqual([]);
    expect((await world.outcomesOf(repository)).slice(1)).toEqual([
      { kind: 'duplicate', of: run?.id },
      { kind: 'duplicate', of: run?.id },
    ]);
  });

  it('that moves the ref back to an old commit builds that commit again', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    for (const commit of ['a', 'b', 'a']) {
      await world.push(repository, { after: commit.repeat(40) });
      await world.endRuns(repository, 'success');
    }
    const runs = await world.runsOf(repository);
    expect(runs.map((run) => run.commit?.[0])).toEqual(['a', 'b', 'a']);
    expect(runs.map((run) => run.order_no)).toEqual(runs.map((run) => run.order_no).toSorted((a, b) => a - b));
  });

  it('to a branch starts branch rules only, to a tag tag rules only', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const branchRule = await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'branch', name: 'v1' },
      imageTags: [{ template: 'branch' }],
    });
    const tagRule = await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'tag', name: 'v.*', match: 'regexp' },
      imageTags: [{ template: 'tag' }],
    });
    await world.push(repository, { ref: 'refs/heads/v1' });
    await world.push(repository, {
      ref: 'refs/tags/v1',
      after: 'b'.repeat(40),
      head_commit: { id: 'c'.repeat(40) },
    });
    const runs = await world.runsOf(repository);
    expect(runs.map((run) => [run.build_rule_id, run.ref_type, run.commit?.[0]])).toEqual([
      [branchRule, 'branch', 'a'],
      [tagRule, 'tag', 'c'],
    ]);
  });

  it('matched by two rules starts a run of each under one order number', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'branch', name: 'm.*', match: 'regexp' },
      imageTags: [{ template: 'dev' }],
    });
    await world.push(repository, {});
    const runs = await world.runsOf(repository);
    expect(
      runs
        .map((run) => run.tags)
        .flat()
        .toSorted(),
    ).toEqual(['dev', 'latest']);
    expect(new Set(runs.map((run) => run.order_no)).size).toBe(1);
  });

  it('under the golden rule writes the tag of the product document', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'branch', name: 'release-(?<imageTag>\\w*)', match: 'regexp' },
      imageTags: [{ template: '${imageTag}', buildTime: 'yyyyMMddHHmm', commitIdLength: 30 }],
    });
    await world.push(repository, {
      ref: 'refs/heads/release-v1',
      after: 'd4ef3dc3b77a011a5779eec7efdd450123456789',
      repository: { full_name: 'acme/app', pushed_at: Date.parse('2020-10-15T08:25:00Z') / 1_000 },
    });
    expect((await world.runsOf(repository)).map((run) => run.tags)).toEqual([
      ['v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45'],
    ]);
  });

  it('without the time of the push takes the time it was accepted', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox, { host: 'git' });
    await seedBuildRule(world.deps.db, repository.id, {
      ...latest,
      imageTags: [{ template: null, buildTime: 'yyyyMMddHHmmss' }],
    });
    await world.deliver(repository.hookId, genericPush(repository.hookSecret, {}, { at: world.clock() }));
    await world.dispatchAll();
    expect((await world.runsOf(repository)).map((run) => run.tags)).toEqual([['20261121200000']]);
  });

  it('whose tag comes out invalid ends at once, failed, with a Record that says so and no workflow', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'branch', name: 'feature/(?<name>.*)', match: 'regexp' },
      imageTags: [{ template: '${name}' }],
    });
    await world.push(repository, { ref: 'refs/heads/feature/a/b' });
    const [run] = await world.runsOf(repository);
    expect(run).toMatchObject({
      status: 'complete',
      result: 'failed',
      reason: { code: 'build.tag_invalid', text: expect.stringContaining('Failed in build: the image tag "a/b"') },
    });
    const steps = await world.deps.db
      .selectFrom('run_step')
      .select(['name', 'state', 'why'])
      .where('run_id', '=', run?.id ?? '')
      .orderBy('ordinal')
      .execute();
    expect(steps[0]).toEqual({ name: 'build', state: 'failed', why: null });
    expect(steps.slice(1).every((step) => step.state === 'skipped' && step.why === 'not_reached')).toBe(true);
    expect(world.engine.startRun).not.toHaveBeenCalled();
  });

  it('with NUL characters and half characters in its message is kept as text', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await world.push(repository, {
      head_commit: { id: 'a'.repeat(40), message: 'a\0b\ud800', author: { name: '<b>x</b>' } },
    });
    expect(await world.runsOf(repository)).toMatchObject([{ message: 'ab\ufffd', author: '<b>x</b>' }]);
  });
});

describe('where a run belongs', () => {
  it.each([
    ['no chain covers the repository', undefined],
    ['the chain has no build node', { name: 'no-build', nodes: { scan: {} } }],
    ['the chain is disabled', { name: 'disabled', enabled: false }],
    ['the chain excludes the repository', { name: 'excluding', scope: { allEffective: false, exclude: ['app'] } }],
  ])('builds outside a chain when %s', async (_, chain) => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    if (chain !== undefined) await seedChain(world.deps.db, repository.instanceId, chain);
    await world.push(repository, {});
    const [run] = await world.runsOf(repository);
    expect(run).toMatchObject({
      number: 0,
      chain_id: null,
      trigger_snapshots: [],
      workflow_id: `build/${run?.build_id}`,
      input: {
        chain: { id: null, scan: null, isReplicateOn: false, isTriggerOn: false, triggers: [] },
      },
    });
  });

  it('takes the numbers of its chain, one after another', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, repository.id, latest);
    await seedChain(world.deps.db, repository.instanceId, { name: 'all' });
    for (const commit of ['a', 'b', 'c'])
      await world.deliver(repository.hookId, githubPush(repository.hookSecret, { after: commit.repeat(40) }));
    await world.dispatchAll();
    expect((await world.runsOf(repository)).map((run) => [run.number, run.commit?.[0]])).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ]);
  });
});
