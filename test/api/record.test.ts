import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordChild, recordRunStart, recordStep } from '../../db/repositories/record.ts';
import { SourceError } from '../../domain/source-error.ts';
import { adminToken } from '../support/api.ts';
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
  vi.mocked(world.deps.git.refResolve).mockReset().mockResolvedValue('c'.repeat(40));
  vi.mocked(world.deps.starter.start).mockReset();
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

describe('starting a chain by hand', () => {
  it('in the console has the cause manual, with a token api', async () => {
    const { repository, chainId } = await seedWorld();
    const session = await world.call('POST', '/v1/sessions', { body: { token: adminToken }, isLoggedIn: false });
    const cookie = session.headers.get('set-cookie')?.split(';')[0] ?? '';
    const clicked = await world.call('POST', `/v1/chains/${chainId}/runs`, {
      body: { repository: repository.id },
      headers: { cookie },
      isLoggedIn: false,
    });
    const other = await seedWorld();
    const called = await start(other.chainId, { repository: other.repository.id });
    expect([clicked.body?.['cause'], called.body?.['cause']]).toEqual(['manual', 'api']);
  });

  it('builds what the ref is now, and answers 202 with the run and where it is', async () => {
    const { repository, ruleId, chainId } = await seedWorld();
    const answer = await start(chainId, { repository: repository.id });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/runs/${String(answer.body?.['id'])}`);
    expect(answer.body).toMatchObject({
      number: 1,
      status: 'queued',
      result: null,
      chain: { id: chainId, name: 'main', version: 1, currentVersion: 1 },
      repository: { id: repository.id, namespace: repository.namespace, name: 'app', instance: repository.instance },
      cause: 'api',
      actor: 'administrator',
      source: { ref: 'main', refType: 'branch', commit: 'c'.repeat(40) },
      tags: ['latest'],
    });
    expect(vi.mocked(world.deps.git.refResolve).mock.calls[0]?.slice(0, 2)).toEqual([
      'https://code.example.com/acme/app.git',
      'refs/heads/main',
    ]);
    const [run] = await world.runsOf(repository);
    expect(run).toMatchObject({ build_rule_id: ruleId, workflow_id: `chain/${chainId}/api/${run?.id}` });
    expect(vi.mocked(world.deps.starter.start).mock.calls[0]?.[0].id).toBe(run?.id);
  });

  it('twice with the same rule, ref and commit answers with the run that is live', async () => {
    const { repository, ruleId, chainId } = await seedWorld();
    const path = `${repository.namespace}/${repository.name}`;
    const first = await start(chainId, { repository: path, rule: ruleId });
    const second = await start(chainId, { repository: path, ref: 'main' });
    expect(second.status).toBe(202);
    expect(second.body?.['id']).toBe(first.body?.['id']);
    expect(await world.runsOf(repository)).toHaveLength(1);
  });

  it('from an existing tag starts at the push step with the digest the registry has', async () => {
    const { repository, chainId } = await seedWorld();
    const client = await world.deps.registries.client('x', []);
    const digest = `sha256:${'d'.repeat(64)}`;
    const manifestHead = vi.fn<typeof client.manifestHead>(async () => ({ mediaType: 'm', digest, size: 1 }));
    vi.mocked(world.deps.registries.client).mockResolvedValueOnce({ ...client, manifestHead });
    const answer = await start(chainId, { repository: repository.id, tag: 'v1' });
    expect(answer).toMatchObject({ status: 202, body: { source: null, build: null, tags: ['v1'] } });
    expect(manifestHead.mock.calls[0]?.slice(0, 2)).toEqual([`${repository.namespace}/app`, 'v1']);
    expect(await world.runsOf(repository)).toMatchObject([
      { digest, input: { origin: { kind: 'image', tag: 'v1', digest } } },
    ]);
  });

  it.each([
    ['a tag the registry does not have', 404, 'tag.not_found', {}, { tag: 'none' }],
    ['a ref no rule takes', 422, 'build_rule.ref_not_matched', {}, { ref: 'other' }],
    ['a rule that is not of the repository', 404, 'build_rule.not_found', {}, { rule: 'crbr-none' }],
    ['a chain whose build node is off', 409, 'chain.build_off', { chain: { nodes: { scan: {} } } }, {}],
    ['a disabled chain', 409, 'chain.disabled', { chain: { enabled: false } }, {}],
    [
      'a repository the chain leaves out',
      409,
      'chain.repository_not_covered',
      { chain: { scope: { allEffective: false, exclude: ['app'] } } },
      {},
    ],
    ['a tag and a ref at once', 422, 'request.invalid', {}, { tag: 'v1', ref: 'main' }],
    ['a field nobody knows', 422, 'request.invalid', {}, { branch: 'main' }],
    [
      'a regular expression without a ref',
      422,
      'build_rule.ref_not_matched',
      { rule: { ref: { type: 'branch', name: 'm.*', match: 'regexp' }, imageTags: [{ template: 'x' }] } },
      {},
    ],
  ])(
    'with %s is refused and starts nothing',
    async (_, status, code, seed: { chain?: object; rule?: object }, body) => {
      const repository = await seedRepository(world.deps.db, world.deps.secretBox);
      await seedBuildRule(world.deps.db, repository.id, seed.rule ?? latest);
      const chainId = await seedChain(world.deps.db, repository.instanceId, { name: 'main', ...seed.chain });
      const answer = await start(chainId, { repository: repository.id, ...body });
      expect(answer).toMatchObject({ status, body: { code } });
      expect(await world.runsOf(repository)).toEqual([]);
    },
  );

  it('with a ref that two rules take asks for the rule', async () => {
    const { repository, ruleId, chainId } = await seedWorld();
    const other = await seedBuildRule(world.deps.db, repository.id, { ...latest, imageTags: [{ template: 'dev' }] });
    const answer = await start(chainId, { repository: repository.id, ref: 'main' });
    expect(answer).toMatchObject({ status: 422, body: { code: 'build_rule.ambiguous', rules: [ruleId, other] } });
  });

  it.each([
    ['has no such ref', 404, 'source.ref_not_found', undefined],
    ['does not answer', 503, 'source.not_reachable', new SourceError('source.not_reachable', 'no route')],
    [
      'refuses the login',
      409,
      'source.not_authorized',
      new SourceError('source.not_authorized', 'The source host refuses this login.'),
    ],
  ])('when the source %s is refused', async (_, status, code, error) => {
    const { repository, chainId } = await seedWorld();
    vi.mocked(world.deps.git.refResolve).mockImplementation(async () => {
      if (error !== undefined) throw error;
      return undefined;
    });
    expect(await start(chainId, { repository: repository.id })).toMatchObject({ status, body: { code } });
    expect(await world.runsOf(repository)).toEqual([]);
  });
});

describe('a Record', () => {
  it('shows header, steps with their children, and the configuration it ran with', async () => {
    const { repository, chainId } = await seedWorld();
    const id = String((await start(chainId, { repository: repository.id })).body?.['id']);
    const at = world.clock();
    const step = {
      runId: id,
      attempt: 1,
      name: 'build',
      why: null,
      reason: null,
      result: null,
      startedAt: at,
      at,
    } as const;
    await recordRunStart(world.deps.db, { runId: id, at });
    await recordStep(world.deps.db, { ...step, state: 'running' });
    await recordChild(world.deps.db, {
      runId: id,
      attempt: 1,
      step: 'build',
      key: 'linux/amd64',
      state: 'running',
      reason: null,
      result: null,
      at,
    });
    const answer = await world.call('GET', `/v1/runs/${id}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      status: 'running',
      steps: [
        { name: 'build', state: 'running', children: [{ key: 'linux/amd64', state: 'running', result: null }] },
        { name: 'push', state: 'waiting', children: [] },
        { name: 'scan' },
        { name: 'replicate' },
        { name: 'trigger' },
      ],
      snapshot: { chain: { id: chainId, version: 1 }, rule: { ref: { name: 'main' } } },
      temporal: { workflowId: `chain/${chainId}/api/${id}`, url: null },
    });
    const events = await world.call('GET', `/v1/runs/${id}/events?limit=2`);
    expect(events.body?.['items']).toMatchObject([{ type: 'run.queued' }, { type: 'run.started' }]);
    const more = await world.call('GET', `/v1/runs/${id}/events?cursor=${String(events.body?.['nextCursor'])}`);
    expect(more.body?.['items']).toMatchObject([{ type: 'step.running' }, { type: 'child.running' }]);
  });

  it('nobody knows is 404, without a login 401', async () => {
    expect(await world.call('GET', '/v1/runs/none')).toMatchObject({ status: 404, body: { code: 'run.not_found' } });
    for (const path of [
      '/v1/runs',
      '/v1/runs/none',
      '/v1/runs/none/events',
      '/v1/chains/x/runs',
      '/v1/events?topics=runs',
    ])
      expect(await world.call('GET', path, { isLoggedIn: false })).toMatchObject({ status: 401 });
  });
});

describe('the Record list', () => {
  it('is newest first, by pages, and leaves out builds outside a chain', async () => {
    const { repository } = await seedWorld();
    for (const commit of ['a', 'b', 'c']) {
      await world.push(repository, { after: commit.repeat(40) });
      world.passTime(1_000);
    }
    const outside = await seedRepository(world.deps.db, world.deps.secretBox);
    await seedBuildRule(world.deps.db, outside.id, latest);
    await world.push(outside, {});
    const path = `/v1/runs?instance=${repository.instance}&limit=2`;
    const first = await world.call('GET', path);
    expect(numbersOf(first)).toEqual([3, 2]);
    expect(first.headers.get('link')).toContain('rel="next"');
    const second = await world.call('GET', `${path}&cursor=${String(first.body?.['nextCursor'])}`);
    expect(numbersOf(second)).toEqual([1]);
    expect(second.body?.['nextCursor']).toBeNull();
    expect(numbersOf(await world.call('GET', `/v1/runs?instance=${outside.instance}`))).toEqual([]);
  });

  it.each([
    ['repository by id', ({ repository }: Seeded) => `repository=${repository.id}`],
    ['repository by path', ({ repository }: Seeded) => `repository=${repository.namespace}/app`],
    ['chain', ({ chainId }: Seeded) => `chain=${chainId}`],
    ['ref', ({ repository }: Seeded) => `instance=${repository.instance}&ref=main`],
    ['tag', ({ repository }: Seeded) => `instance=${repository.instance}&tag=latest`],
    ['commit by its first digits', ({ repository }: Seeded) => `instance=${repository.instance}&commit=ccccccc`],
    ['actor', ({ repository }: Seeded) => `instance=${repository.instance}&actor=administrator`],
    ['status', ({ repository }: Seeded) => `instance=${repository.instance}&status=queued`],
    ['digest', ({ repository, digest }: Seeded) => `instance=${repository.instance}&digest=${digest}`],
    [
      'time',
      ({ repository }: Seeded) =>
        `instance=${repository.instance}&since=2026-11-21T00:00:00Z&until=2027-01-01T00:00:00Z`,
    ],
  ])('is filtered by %s', async (_, filterOf) => {
    const { repository, chainId } = await seedWorld();
    await start(chainId, { repository: repository.id });
    const digest = `sha256:${'e'.repeat(64)}`;
    await world.deps.db.updateTable('run').set({ digest }).where('repository_id', '=', repository.id).execute();
    expect(numbersOf(await world.call('GET', `/v1/runs?${filterOf({ repository, chainId, digest })}`))).toEqual([1]);
    expect(
      numbersOf(await world.call('GET', `/v1/runs?${filterOf({ repository, chainId, digest })}&result=denied`)),
    ).toEqual([]);
  });

  it.each([
    ['limit=0', 'request.invalid'],
    ['status=done', 'request.invalid'],
    ['branch=main', 'request.invalid'],
    ['cursor=abc', 'cursor.invalid'],
  ])('refuses %s', async (query, code) => {
    expect(await world.call('GET', `/v1/runs?${query}`)).toMatchObject({ status: 422, body: { code } });
  });
});

interface Seeded {
  readonly repository: SeededRepository;
  readonly chainId: string;
  readonly digest: string;
}

function numbersOf({ body }: { body: Readonly<Record<string, unknown>> | null }): unknown[] {
  const items = body?.['items'];
  return Array.isArray(items) ? items.map((item: { number: number }) => item.number) : [];
}
