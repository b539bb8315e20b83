import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { getRunContext } from '../../db/repositories/run-context.ts';
import { chainSnapshot, insertRun } from '../../db/repositories/run-start.ts';
import { defaultTimings } from '../../domain/chain.ts';
import { runCauses } from '../../domain/record.ts';
import { textAt } from '../support/api.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const nodes = { build: {}, scan: {} };
const anyBranch = { ref: { type: 'branch', name: '.*', match: 'regexp' }, imageTags: [{ template: 'x' }] };

/** A bound repository that builds every branch, and a function that makes chains of its instance over the API. */
async function seedWorld() {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, anyBranch);
  const create = async (body: Readonly<Record<string, unknown>>) => {
    const path = `/v1/instances/${repository.instance}/chains`;
    const answer = await world.call('POST', path, { body: { nodes, ...body } });
    if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
    return { path: `/v1/chains/${textAt(answer, 'id')}`, body: { nodes, ...body } };
  };
  return { repository, create };
}

let pushes = 0;
/** The name of the chain the next push belongs to, null outside any. */
async function chainOfPush(repository: SeededRepository): Promise<string | null> {
  pushes += 1;
  await world.push(repository, { ref: `refs/heads/b${pushes}`, after: `${pushes}`.padStart(40, 'c') });
  return (await world.runsOf(repository)).at(-1)?.chain_name ?? null;
}

describe('the chain a push belongs to', () => {
  it("is the repository's own, else the namespace's, else the instance's; disabled and excluding ones do not count", async () => {
    const { repository, create } = await seedWorld();
    const { namespace } = repository;
    expect(await chainOfPush(repository)).toBeNull();
    const wide = await create({ name: 'wide', scope: {} });
    expect(await chainOfPush(repository)).toBe('wide');
    const middle = await create({ name: 'middle', scope: { namespace } });
    expect(await chainOfPush(repository)).toBe('middle');
    const own = await create({ name: 'own', scope: { namespace, repository: 'app' } });
    expect(await chainOfPush(repository)).toBe('own');

    const change = (chain: typeof own, body: object) =>
      world.call('PUT', chain.path, { body: { ...chain.body, ...body }, headers: { 'if-match': '*' } });
    await change(own, { enabled: false });
    expect(await chainOfPush(repository)).toBe('middle');
    await change(middle, { scope: { namespace, allEffective: false, exclude: ['app'] } });
    expect(await chainOfPush(repository)).toBe('wide');
    await change(wide, { scope: { allEffective: false, exclude: ['app'] } });
    expect(await chainOfPush(repository)).toBeNull();
    await change(middle, { scope: { namespace, allEffective: true } });
    expect(await chainOfPush(repository)).toBe('middle');
    await world.call('DELETE', middle.path, { headers: { 'if-match': '*' } });
    expect(await chainOfPush(repository)).toBeNull();
  });

  it('takes repositories made later, and touches none outside its scope', async () => {
    const { repository, create } = await seedWorld();
    const other = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, other.id, anyBranch);
    await create({ name: 'own', scope: { namespace: repository.namespace } });
    expect(await chainOfPush(repository)).toBe('own');
    expect(await chainOfPush(other)).toBeNull();
  });
});

describe('a chain that is changed while a run of it lives', () => {
  it('leaves the run as it was; the Record says which version it ran and which is now', async () => {
    const { repository, create } = await seedWorld();
    const chain = await create({ name: 'main', scope: {} });
    await chainOfPush(repository);
    const [run] = await world.runsOf(repository);
    const scan = { strategy: 'blocking', severity: 'low', vulnerabilities: 1 };
    await world.call('PUT', chain.path, {
      body: { name: 'main', scope: {}, nodes: { build: {}, scan, trigger: {} }, concurrency: 'queue' },
      headers: { 'if-match': '"1"' },
    });
    const record = await world.call('GET', `/v1/runs/${run?.id}`);
    expect(record.body).toMatchObject({
      chain: { name: 'main', version: 1, currentVersion: 2 },
      snapshot: { chain: { scan: { strategy: 'non_blocking' }, isTriggerOn: false, concurrency: null } },
    });
    expect((await world.call('GET', `${chain.path}/versions`)).body).toMatchObject({
      items: [
        { version: 2, concurrency: 'queue' },
        { version: 1, concurrency: null },
      ],
    });
  });
});

describe('a change of a chain', () => {
  it.each([
    ['/concurrency', 'chain.concurrency_invalid', { concurrency: 'newest' }],
    ['/scope/exclude', 'chain.exclude_invalid', { scope: { allEffective: true, exclude: ['app'] } }],
    ['/scope/allEffective', 'chain.all_effective_invalid', { scope: { allEffective: null } }],
    ['/nodes/accelerate_later', 'chain.graph_fixed', { nodes: { accelerate_later: {} } }],
  ])('is refused at %s by %s', async (pointer, code, body) => {
    const { create } = await seedWorld();
    const chain = await create({ name: 'main', scope: {} });
    const answer = await world.call('PUT', chain.path, {
      body: { ...chain.body, ...body },
      headers: { 'if-match': '*' },
    });
    expect(answer.status).toBe(422);
    expect(answer.body?.['errors']).toContainEqual(expect.objectContaining({ pointer, code }));
  });

  it('of one repository has no choice of repositories: allEffective is null, whatever is sent', async () => {
    const { create, repository } = await seedWorld();
    const scope = { namespace: repository.namespace, repository: 'app' };
    const chain = await create({ name: 'own', scope: { ...scope, allEffective: true } });
    const read = await world.call('GET', chain.path);
    expect(read.body).toMatchObject({ version: 1, scope: { ...scope, allEffective: null, exclude: [] } });
    const asRead = { name: 'own', scope: read.body?.['scope'], nodes: read.body?.['nodes'] };
    const again = await world.call('PUT', chain.path, { body: asRead, headers: { 'if-match': '"1"' } });
    expect(again.body).toMatchObject({ version: 1 });
  });

  it('to the build node of a local repository is refused', async () => {
    const { repository } = await seedWorld();
    const body = { name: 'local', type: 'private' };
    await world.call('POST', `/v1/namespaces/${repository.namespaceId}/repositories`, { body });
    const scope = { namespace: repository.namespace, repository: 'local' };
    const path = `/v1/instances/${repository.instance}/chains`;
    const made = await world.call('POST', path, { body: { name: 'main', scope, nodes: { scan: {} } } });
    const answer = await world.call('PUT', `/v1/chains/${textAt(made, 'id')}`, {
      body: { name: 'main', scope, nodes: { build: {} } },
      headers: { 'if-match': '*' },
    });
    expect(answer.body?.['errors']).toMatchObject([{ pointer: '/nodes/build', code: 'chain.build_needs_source' }]);
  });
});

describe('a Record', () => {
  it.each(runCauses)('shows the cause %s and who it was', async (cause) => {
    const { repository, create } = await seedWorld();
    await create({ name: 'main', scope: {} });
    const { db } = world.deps;
    const run = await db.transaction().execute(async (trx) => {
      const context = await getRunContext(trx, repository.id);
      if (context.chain === null) throw new Error('the chain covers the repository');
      return insertRun(trx, {
        repository: context.repository,
        chain: chainSnapshot(context, context.chain),
        triggers: [],
        origin: { kind: 'image', tag: cause, digest: `sha256:${'d'.repeat(64)}` },
        cause,
        actor: 'ada',
        orderNo: 1,
        workflowId: ({ runId }) => `chain/test/${runId}`,
        timings: defaultTimings,
        at: world.clock(),
      });
    });
    expect((await world.call('GET', `/v1/runs/${run.id}`)).body).toMatchObject({ cause, actor: 'ada' });
    const trail = await world.call('GET', `/v1/runs/${run.id}/events`);
    expect(trail.body?.['items']).toMatchObject([{ type: 'run.queued', data: { cause, actor: 'ada' } }]);
  });
});

it('a chain of a whole namespace builds the bound repositories and lets the local ones start at push', async () => {
  const { repository, create } = await seedWorld();
  const chain = await create({ name: 'main', scope: { namespace: repository.namespace } });
  const made = await world.call('POST', `/v1/namespaces/${repository.namespaceId}/repositories`, {
    body: { name: 'local' },
  });
  expect(await chainOfPush(repository)).toBe('main');
  const head = { digest: `sha256:${'e'.repeat(64)}`, mediaType: 'application/json', size: 1 };
  const client = await world.deps.registries.client('x', []);
  vi.mocked(world.deps.registries.client).mockResolvedValue({ ...client, manifestHead: async () => head });
  const body = { repository: textAt(made, 'id'), tag: 'v1' };
  const started = await world.call('POST', `${chain.path}/runs`, { body });
  expect(started).toMatchObject({ status: 202, body: { cause: 'api', build: null, tags: ['v1'] } });
});
