import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRuleWorld, exampleOne, ruleCommit as commit } from '../support/rule-world.ts';
import type { RuleWorld } from '../support/rule-world.ts';

let world: RuleWorld;
beforeAll(async () => {
  world = await createRuleWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  vi.mocked(world.deps.git.refResolve).mockReset().mockResolvedValue(commit);
});

describe('the settings of a repository', () => {
  it('auto build off: a push is ignored and says so, the Build button still works', async () => {
    const repository = await world.makeRepository([exampleOne], { buildSettings: { autoBuild: false } });
    await repository.push('main');
    expect(await repository.lastEvent()).toMatchObject({ outcome: { kind: 'ignored', reason: 'auto_build_off' } });
    expect((await repository.press()).status).toBe(202);
    await world.call('PUT', repository.path, { body: { buildSettings: { autoBuild: true } } });
    await repository.push('main', { after: 'f'.repeat(40) });
    expect(await repository.builds()).toMatchObject([{ cause: 'source_push' }, { cause: 'api' }]);
  });

  it('no cache: every build is told to use none, until it is changed', async () => {
    const repository = await world.makeRepository([exampleOne], { buildSettings: { noCache: true } });
    await repository.push('main');
    await world.call('PUT', repository.path, { body: { buildSettings: { noCache: false } } });
    await repository.push('main', { after: 'f'.repeat(40) });
    const runs = await world.runsOf(repository);
    expect(runs.map(({ input }) => input.origin)).toMatchObject([{ isCached: false }, { isCached: true }]);
  });
});

describe('a path filter', () => {
  it('leaves out a push that touched only other files, and says why', async () => {
    const rule = { ...exampleOne, paths: { include: ['services/web/**'], exclude: ['**/*.md'] } };
    const repository = await world.makeRepository([rule]);
    const touching = (file: string) => ({ commits: [{ id: commit, added: [], removed: [], modified: [file] }] });
    const [first, second, third] = ['2', '3', '4'].map((digit) => digit.repeat(40));
    await repository.push('main', { after: first, ...touching('services/web/main.ts') });
    await repository.push('main', { before: first, after: second, ...touching('docs/guide.md') });
    expect(await repository.lastEvent()).toMatchObject({ outcome: { kind: 'ignored', reason: 'paths' } });
    await repository.push('main', { before: second, after: third, ...touching('services/web/log.ts') });
    expect(await repository.builds()).toMatchObject([{ commit: third }, { commit: first }]);
  });
});

describe('a changed rule', () => {
  it('leaves the build under way as it was, and holds from the next', async () => {
    const repository = await world.makeRepository([{ ...exampleOne, timeoutMinutes: 30 }]);
    await repository.push('main');
    const changed = { ...exampleOne, dockerfile: 'Dockerfile.new', imageTags: [{ template: 'next' }] };
    const put = await world.call('PUT', repository.rulePath, { body: changed, headers: { 'if-match': '"1"' } });
    expect(put).toMatchObject({ status: 200, body: { version: 2, timeoutMinutes: 60 } });
    await repository.push('main', { after: '4'.repeat(40) });
    expect(await repository.builds()).toMatchObject([
      { imageTags: ['next'], rule: { definition: { dockerfile: 'Dockerfile.new', timeoutMinutes: 60 } } },
      { imageTags: ['latest'], rule: { definition: { dockerfile: 'Dockerfile', timeoutMinutes: 30 } } },
    ]);
    const [first] = await world.runsOf(repository);
    expect(first?.input.origin).toMatchObject({ rule: { dockerfile: 'Dockerfile', timeoutMinutes: 30 } });
    expect((await world.call('DELETE', repository.rulePath, { headers: { 'if-match': '"2"' } })).status).toBe(204);
    expect(await repository.builds()).toHaveLength(2);
  });
});
