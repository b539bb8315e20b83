import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deleteBuildWorker, noteBuildWorker } from '../../db/repositories/build-worker.ts';
import { recordRunStart } from '../../db/repositories/record.ts';
import { startArchitecture } from '../../db/repositories/build-progress.ts';
import type { Architecture } from '../../domain/build.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { createInstance, createNamespace, createSourceAccount, mainRule } from '../support/api-world.ts';
import { create, textAt } from '../support/api.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
  await createInstance(world, 'hangzhou', 'cn-hangzhou');
});
afterAll(() => world.close());

const note = (id: string, region: string, platforms: readonly Architecture[]) =>
  noteBuildWorker(world.deps.db, {
    id,
    regions: [region],
    platforms,
    slots: 2,
    isolation: 'namespace',
    at: world.clock(),
  });

describe('the workers that build', () => {
  it('are listed while they say so, and no longer than 45 seconds after', async () => {
    await note('w-1', 'eu-west-1', ['linux/amd64']);
    const items = [
      {
        id: 'w-1',
        region: 'eu-west-1',
        platforms: ['linux/amd64'],
        slots: 2,
        isolation: 'namespace',
        seenAt: world.clock().toISOString(),
      },
    ];
    expect((await world.call('GET', '/v1/build-workers')).body).toEqual({ items });
    world.passTime(46_000);
    expect((await world.call('GET', '/v1/build-workers')).body).toEqual({ items: [] });
    await note('w-1', 'eu-west-1', ['linux/amd64']);
    await deleteBuildWorker(world.deps.db, 'w-1');
    expect((await world.call('GET', '/v1/build-workers')).body).toEqual({ items: [] });
  });
});

describe('a build rule', () => {
  it('takes the architectures the workers of its region build, and any while none of them is known', async () => {
    const { id } = await seedRepository(world.deps.db, world.deps.secretBox);
    const rules = `/v1/repositories/${id}/build-rules`;
    const arm = { ...mainRule, architectures: ['linux/amd64', 'linux/arm64'] };
    expect((await world.call('POST', rules, { body: arm })).status).toBe(201);
    await note('w-2', 'cn-hangzhou', ['linux/amd64', 'linux/386']);
    const refused = await world.call('POST', rules, { body: arm });
    expect(refused.status).toBe(422);
    expect(refused.body?.['errors']).toEqual([
      {
        pointer: '/architectures/1',
        code: 'build_rule.architecture_without_worker',
        message:
          'No worker in the region "cn-hangzhou" builds linux/arm64; those there build linux/amd64, linux/386. Leave it out, or start a worker that builds it.',
      },
    ]);
    await note('w-3', 'cn-hangzhou', ['linux/arm64']);
    const made = await create(world, rules, arm);
    await deleteBuildWorker(world.deps.db, 'w-3');
    const path = `/v1/build-rules/${textAt(made, 'id')}`;
    const changed = await world.call('PUT', path, {
      body: arm,
      headers: { 'if-match': made.headers.get('etag') ?? '' },
    });
    expect(changed.status).toBe(422);
    await deleteBuildWorker(world.deps.db, 'w-2');
  });
});

describe('a repository built in another region', () => {
  it('needs workers there, and its builds go to their queues while its image stays at home', async () => {
    const namespace = await createNamespace(world, 'hangzhou', 'abroad');
    const sourceAccount = await createSourceAccount(world, 'hangzhou');
    const body = {
      name: 'web',
      codeSource: { sourceAccount, codeNamespace: 'acme', codeRepository: 'web' },
      buildRules: [mainRule],
      buildSettings: { buildRegion: 'us-east-1' },
    };
    const refused = await world.call('POST', `/v1/namespaces/${namespace}/repositories`, { body });
    expect(refused.body?.['errors']).toEqual([
      {
        pointer: '/buildSettings/buildRegion',
        code: 'build.region_without_workers',
        message:
          'No worker builds in the region "us-east-1" now. Choose a region that has workers, or start one there.',
      },
    ]);
    await note('w-4', 'us-east-1', ['linux/amd64']);
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const settings = (buildRegion: string | null) =>
      world.call('PUT', `/v1/repositories/${repository.id}`, { body: { buildSettings: { buildRegion } } });
    expect((await settings('eu-central-1')).status).toBe(422);
    expect((await settings('us-east-1')).body).toMatchObject({ buildSettings: { buildRegion: 'us-east-1' } });
    await seedBuildRule(world.deps.db, repository.id, mainRule);
    await world.push(repository, { after: 'a'.repeat(40) });
    const [run] = await world.runsOf(repository);
    expect(run?.input).toMatchObject({ origin: { buildRegion: 'us-east-1' }, repository: { region: 'cn-hangzhou' } });
    expect((await world.call('GET', `/v1/builds/${run?.build_id}`)).body).toMatchObject({ region: 'us-east-1' });
    await deleteBuildWorker(world.deps.db, 'w-4');
  });
});

describe('a run whose build nobody can take', () => {
  it('says after half a minute which worker it waits for, once, and no more when it is taken', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedChain(world.deps.db, repository.instanceId, { name: 'main' });
    await seedBuildRule(world.deps.db, repository.id, { ...mainRule, architectures: ['linux/amd64', 'linux/arm64'] });
    await world.push(repository, { after: 'b'.repeat(40) });
    const [run] = await world.runsOf(repository);
    const runId = run?.id ?? '';
    await recordRunStart(world.deps.db, { runId, at: world.clock() });
    const beat = () => note('w-5', 'cn-hangzhou', ['linux/amd64']);
    await beat();
    await world.createReader().sweep();
    const buildStep = async () => {
      const { body } = await world.call('GET', `/v1/runs/${runId}`);
      return Array.isArray(body?.['steps']) ? body['steps'][0] : undefined;
    };
    expect((await buildStep())?.children).toEqual([]);
    world.passTime(40_000);
    await beat();
    await world.createReader().sweep();
    await world.createReader().sweep();
    expect((await buildStep())?.children).toMatchObject([
      {
        key: 'linux/arm64',
        state: 'waiting',
        reason: {
          code: 'build.waits_for_worker',
          text: 'waits for a worker of linux/arm64 in cn-hangzhou: none is there; start one, or change the build rule',
        },
      },
    ]);
    const { body } = await world.call('GET', `/v1/runs/${runId}/events`);
    expect(JSON.stringify(body).match(/waits_for_worker/g)).toHaveLength(1);
  });
});

describe('builds that wait for a worker', () => {
  it('show their place: what a person waits for goes first, and one that is taken has none', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await world.deps.db
      .updateTable('instance')
      .set({ region: 'ap-south-1' })
      .where('id', '=', repository.instanceId)
      .execute();
    const any = { ref: { type: 'branch', name: '.*', match: 'regexp' }, imageTags: [{ template: 'x' }] };
    await seedBuildRule(world.deps.db, repository.id, any);
    const ruleId = await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'branch', name: 'manual' },
      imageTags: [{ template: 'latest' }],
    });
    for (const [index, ref] of ['one', 'two', 'three'].entries()) {
      world.passTime(1_000);
      await world.push(repository, { ref: `refs/heads/${ref}`, after: `${index + 1}`.repeat(40) });
    }
    world.deps.git.refResolve = async () => 'f'.repeat(40);
    world.passTime(1_000);
    await world.call('POST', `/v1/build-rules/${ruleId}/builds`, { body: {} });
    const places = async () => {
      const { body } = await world.call('GET', `/v1/repositories/${repository.id}/builds`);
      return (Array.isArray(body?.['items']) ? body['items'] : []).map(({ ref, queuePlace }) => [ref, queuePlace]);
    };
    expect(await places()).toEqual([
      ['manual', { place: 1, of: 4 }],
      ['three', { place: 4, of: 4 }],
      ['two', { place: 3, of: 4 }],
      ['one', { place: 2, of: 4 }],
    ]);
    const buildId = (await world.runsOf(repository)).find(({ ref }) => ref === 'manual')?.build_id ?? '';
    await startArchitecture(world.deps.db, { buildId, platform: 'linux/amd64', at: world.clock() });
    expect(await places()).toEqual([
      ['manual', null],
      ['three', { place: 3, of: 3 }],
      ['two', { place: 2, of: 3 }],
      ['one', { place: 1, of: 3 }],
    ]);
  });
});
