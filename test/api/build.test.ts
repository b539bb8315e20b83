import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
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
});

const latest = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

async function seedRule(rule: unknown = latest, { hasChain = false }: { hasChain?: boolean } = {}) {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  const ruleId = await seedBuildRule(world.deps.db, repository.id, rule);
  if (hasChain) await seedChain(world.deps.db, repository.instanceId, { name: 'main' });
  return { repository, ruleId };
}

const press = (ruleId: string, body?: unknown) =>
  world.call('POST', `/v1/build-rules/${ruleId}/builds`, body === undefined ? {} : { body });

describe('the Build button', () => {
  it('builds the rule’s own ref outside a chain: 202, a build, no run', async () => {
    const { repository, ruleId } = await seedRule();
    const answer = await press(ruleId);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/builds/${String(answer.body?.['id'])}`);
    expect(answer.body).toMatchObject({
      repository: { id: repository.id, namespace: repository.namespace, name: 'app' },
      rule: { id: ruleId, definition: { ref: { name: 'main' } } },
      cause: 'api',
      ref: 'main',
      refType: 'branch',
      commit: 'c'.repeat(40),
      imageTags: ['latest'],
      status: 'pending',
      stage: null,
      architectures: [{ platform: 'linux/amd64', status: 'pending', digest: null, durationMs: null }],
      log: { lines: 0, bytes: 0, truncated: false },
      run: null,
    });
  });

  it('starts the run of the chain that covers the repository', async () => {
    const { repository, ruleId } = await seedRule(latest, { hasChain: true });
    const answer = await press(ruleId, {});
    const [run] = await world.runsOf(repository);
    expect(answer.body).toMatchObject({ run: run?.id });
  });

  it('pressed twice for the same commit answers with the build that is live', async () => {
    const { ruleId } = await seedRule();
    const first = await press(ruleId);
    expect((await press(ruleId)).body?.['id']).toBe(first.body?.['id']);
  });

  it.each([
    [
      'a regular expression',
      { ref: { type: 'branch', name: 'm.*', match: 'regexp' }, imageTags: [{ template: 'x' }] },
      'no one ref',
    ],
    ['a build time', { ...latest, imageTags: [{ buildTime: 'yyyyMMdd' }] }, 'time of the source push'],
    ['a commit id', { ...latest, imageTags: [{ commitIdLength: 6 }] }, 'commit id'],
  ])('is refused for %s with the reason, but builds a ref that is named', async (_, rule, why) => {
    const { repository, ruleId } = await seedRule(rule);
    expect(await press(ruleId)).toMatchObject({
      status: 409,
      body: { code: 'build_rule.manual_build_not_allowed', detail: expect.stringContaining(why) },
    });
    expect(await world.runsOf(repository)).toEqual([]);
    expect((await press(ruleId, { ref: 'main' })).status).toBe(202);
  });

  it.each([
    ['a disabled rule', 409, 'build_rule.disabled', { ...latest, enabled: false }, {}],
    ['a ref the rule does not take', 422, 'build_rule.ref_not_matched', latest, { ref: 'other' }],
    ['a field nobody knows', 422, 'request.invalid', latest, { branch: 'main' }],
  ])('is refused for %s', async (_, status, code, rule, body) => {
    const { ruleId } = await seedRule(rule);
    expect(await press(ruleId, body)).toMatchObject({ status, body: { code } });
  });

  it('of a rule nobody knows is 404; of a repository without code 409', async () => {
    expect(await press('crbr-none')).toMatchObject({ status: 404, body: { code: 'build_rule.not_found' } });
    const { repository, ruleId } = await seedRule();
    await world.deps.db.deleteFrom('source_binding').where('repository_id', '=', repository.id).execute();
    expect(await press(ruleId)).toMatchObject({ status: 409, body: { code: 'build_rule.needs_source' } });
  });

  it('whose ref makes no valid tag answers with the build, failed at once with the reason', async () => {
    const { ruleId } = await seedRule({
      ref: { type: 'branch', name: 'f/(?<n>.*)', match: 'regexp' },
      imageTags: [{ template: '${n}' }],
    });
    expect((await press(ruleId, { ref: 'f/a/b' })).body).toMatchObject({
      status: 'failed',
      reason: { code: 'build.tag_invalid', fault: 'user' },
      imageTags: [],
    });
  });
});

describe('the builds of a repository', () => {
  it('are listed newest first, by pages', async () => {
    const { repository } = await seedRule();
    for (const commit of ['a', 'b', 'c']) {
      await world.push(repository, { after: commit.repeat(40) });
      world.passTime(1_000);
    }
    const first = await world.call('GET', `/v1/repositories/${repository.id}/builds?limit=2`);
    expect(commitsOf(first)).toEqual(['c', 'b']);
    const next = await world.call(
      'GET',
      `/v1/repositories/${repository.id}/builds?limit=2&cursor=${String(first.body?.['nextCursor'])}`,
    );
    expect(commitsOf(next)).toEqual(['a']);
    expect(next.body?.['nextCursor']).toBeNull();
  });

  it('of a repository nobody knows are 404, without a login 401', async () => {
    expect((await world.call('GET', '/v1/repositories/none/builds')).status).toBe(404);
    for (const [method, path] of [
      ['GET', '/v1/repositories/x/builds'],
      ['GET', '/v1/builds/x'],
      ['POST', '/v1/builds/x/cancel'],
      ['POST', '/v1/builds/x/rebuild'],
      ['POST', '/v1/build-rules/x/builds'],
    ] as const)
      expect((await world.call(method, path, { isLoggedIn: false })).status).toBe(401);
  });
});

describe('a build', () => {
  it('is canceled with its run; after its end that is refused', async () => {
    const { repository, ruleId } = await seedRule();
    const id = String((await press(ruleId)).body?.['id']);
    expect((await world.call('POST', `/v1/builds/${id}/cancel`)).status).toBe(202);
    const [run] = await world.runsOf(repository);
    expect(run?.status).toBe('canceling');
    await recordRunEnd(world.deps.db, {
      runId: run?.id ?? '',
      attempt: 1,
      result: 'canceled',
      reason: { code: 'run.canceled', params: {}, text: 'Canceled' },
      at: world.clock(),
    });
    expect(await world.call('POST', `/v1/builds/${id}/cancel`)).toMatchObject({
      status: 409,
      body: { code: 'build.already_finished' },
    });
  });

  it('is built again with the same commit, rule and times, under a new order number', async () => {
    const { repository } = await seedRule(
      { ...latest, imageTags: [{ buildTime: 'yyyyMMddHHmm' }] },
      { hasChain: true },
    );
    await world.push(repository, { after: 'a'.repeat(40) });
    const [first] = await world.runsOf(repository);
    const path = `/v1/builds/${first?.build_id}/rebuild`;
    expect(await world.call('POST', path)).toMatchObject({ status: 409, body: { code: 'build.not_finished' } });
    await world.endRuns(repository, 'success');
    await world.deps.db.updateTable('run').set({ ended_at: world.clock() }).execute();
    await world.deps.db
      .updateTable('build_rule')
      .set({ enabled: false })
      .where('repository_id', '=', repository.id)
      .execute();
    world.passTime(3_600_000);
    const answer = await world.call('POST', path, { body: {} });
    expect(answer).toMatchObject({
      status: 202,
      body: { cause: 'rebuild', commit: 'a'.repeat(40), status: 'pending' },
    });
    const [, second] = await world.runsOf(repository);
    expect(second).toMatchObject({ number: 2, tags: first?.tags, cause: 'rebuild', actor: 'administrator' });
    expect(second?.order_no).toBeGreaterThan(first?.order_no ?? 0);
    expect(second?.input.chain).toEqual(first?.input.chain);
    expect((await world.call('POST', path)).body?.['id']).toBe(answer.body?.['id']);
  });
});

function commitsOf({ body }: { body: Readonly<Record<string, unknown>> | null }): unknown[] {
  const items = body?.['items'];
  return Array.isArray(items) ? items.map((item: { commit: string }) => item.commit[0]) : [];
}
