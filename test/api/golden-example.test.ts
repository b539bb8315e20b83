import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRuleWorld, exampleOne, ruleCommit as commit } from '../support/rule-world.ts';
import type { RuleWorld } from '../support/rule-world.ts';

const golden = {
  ref: { type: 'branch', name: String.raw`release-(?<imageTag>\w*)`, match: 'regexp' },
  contextDirectory: '/',
  dockerfile: 'Dockerfile',
  imageTags: [{ template: '${imageTag}', buildTime: 'yyyyMMddHHmm', commitIdLength: 30 }],
};

let world: RuleWorld;
beforeAll(async () => {
  world = await createRuleWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  vi.mocked(world.deps.git.refResolve).mockReset().mockResolvedValue(commit);
});

describe('the golden example', () => {
  it('writes v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45', async () => {
    const repository = await world.makeRepository([golden]);
    await repository.push('release-v1');
    expect(await repository.builds()).toMatchObject([
      {
        cause: 'source_push',
        ref: 'release-v1',
        commit,
        imageTags: ['v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45'],
      },
    ]);
  });

  it.each([
    [1, 'v1-202010151625-d'],
    [6, 'v1-202010151625-d4ef3d'],
    [30, 'v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45'],
    [40, 'v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45a1b2c3d4e5'],
  ])('with a commit id of %i writes %s', async (commitIdLength, tag) => {
    const repository = await world.makeRepository([
      { ...golden, imageTags: [{ ...golden.imageTags[0], commitIdLength }] },
    ]);
    await repository.push('release-v1');
    expect(await repository.builds()).toMatchObject([{ imageTags: [tag] }]);
  });

  it.each(['release-v1.2', 'x-release-v1'])('is not started by %s', async (ref) => {
    const repository = await world.makeRepository([golden]);
    await repository.push(ref);
    expect(await repository.builds()).toEqual([]);
    expect(await repository.lastEvent()).toMatchObject({ outcome: { kind: 'ignored', reason: 'no_rule' } });
  });

  it('of an empty group ends with build.tag_invalid before anything is built', async () => {
    const repository = await world.makeRepository([{ ...golden, imageTags: [{ template: '${imageTag}' }] }]);
    await repository.push('release-');
    expect(await repository.builds()).toMatchObject([
      { status: 'failed', reason: { code: 'build.tag_invalid' }, imageTags: [] },
    ]);
  });

  it('with two groups makes 1.4 of release-1-4', async () => {
    const name = String.raw`release-(?<major>\d*)-(?<minor>\d*)`;
    const rule = { ref: { type: 'branch', name, match: 'regexp' }, imageTags: [{ template: '${major}.${minor}' }] };
    const repository = await world.makeRepository([rule]);
    await repository.push('release-1-4');
    expect(await repository.builds()).toMatchObject([{ imageTags: ['1.4'] }]);
  });
});

describe('a build time', () => {
  it.each([
    ['2020-10-15T08:13:00Z', 'yyyyMMddHHmm', '202010151613'],
    ['2020-10-15T08:13:00Z', 'yyyyMMdd', '20201015'],
    ['2020-10-15T16:25:00Z', 'yyyyMMddHHmm', '202010160025'],
  ])('of a push at %s by %s is %s in UTC+8', async (at, buildTime, tag) => {
    const repository = await world.makeRepository([{ ...exampleOne, imageTags: [{ buildTime }] }]);
    await repository.push('main', { at });
    expect(await repository.builds()).toMatchObject([{ imageTags: [tag] }]);
  });

  it('stands in the zone its image tag names', async () => {
    const imageTags = [
      { buildTime: 'yyyyMMddHHmm', timeZone: 'UTC' },
      { buildTime: 'HHmm', timeZone: 'Asia/Tokyo' },
    ];
    const repository = await world.makeRepository([{ ...exampleOne, imageTags }]);
    await repository.push('main', { at: '2020-10-15T16:25:00Z' });
    expect(await repository.builds()).toMatchObject([{ imageTags: ['202010151625', '0125'] }]);
  });
});

describe('image tags', () => {
  it('may be three of one build; the fourth is refused and nothing is stored', async () => {
    const three = ['a', 'b', 'c'].map((template) => ({ template }));
    const repository = await world.makeRepository([{ ...exampleOne, imageTags: three }]);
    await repository.push('main');
    expect(await repository.builds()).toMatchObject([{ imageTags: ['a', 'b', 'c'] }]);

    const four = { ...exampleOne, imageTags: [...three, { template: 'd' }] };
    expect(await world.call('POST', `${repository.path}/build-rules`, { body: four })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/imageTags', code: 'build_rule.image_tags_invalid' }] },
    });
    const rules = await world.call('GET', `${repository.path}/build-rules`);
    expect(rules.body?.['items']).toHaveLength(1);
  });
});

describe('build parameters', () => {
  const parameters = (count: number) => Array.from({ length: count }, (_, index) => ({ key: `K${index}`, value: 'v' }));

  it('A and a are two, and twenty are taken', async () => {
    const both = [
      { key: 'A', value: '1' },
      { key: 'a', value: '2' },
    ];
    const repository = await world.makeRepository([
      { ...exampleOne, buildParameters: both },
      { ...exampleOne, buildParameters: parameters(20) },
    ]);
    await repository.push('main');
    const snapshots = (await world.runsOf(repository)).map(({ input }) => input.origin);
    expect(snapshots).toHaveLength(2);
    for (const expected of [both, parameters(20)])
      expect(snapshots).toContainEqual(
        expect.objectContaining({ rule: expect.objectContaining({ buildParameters: expected }) }),
      );
  });

  it.each([
    ['the 21st', parameters(21), ''],
    ['the same key twice', [...parameters(2), { key: 'K0', value: 'w' }], '/2/key'],
    ['a key with a dash', [{ key: 'A-B', value: '1' }], '/0/key'],
    ['a key that starts with a digit', [{ key: '1A', value: '1' }], '/0/key'],
    ['a key of 129 characters', [{ key: 'A'.repeat(129), value: '1' }], '/0/key'],
    ['a value over 4 KiB', [{ key: 'A', value: 'x'.repeat(4_097) }], '/0/value'],
  ])('%s is refused', async (_, buildParameters, place) => {
    const repository = await world.makeRepository([]);
    const body = { ...exampleOne, buildParameters };
    expect(await world.call('POST', `${repository.path}/build-rules`, { body })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: `/buildParameters${place}`, code: 'build_rule.build_parameters_invalid' }] },
    });
  });

  it.each([
    'BUILDKIT_SYNTAX',
    'buildkit_inline_cache',
    'SOURCE_DATE_EPOCH',
    'Source_Date_Epoch',
    'DOCKER_HOST',
    'docker_buildkit',
    'HTTP_PROXY',
    'https_proxy',
    'No_Proxy',
    'ALL_PROXY',
  ])('%s is reserved', async (key) => {
    const repository = await world.makeRepository([]);
    const body = { ...exampleOne, buildParameters: [{ key, value: '1' }] };
    expect(await world.call('POST', `${repository.path}/build-rules`, { body })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/buildParameters/0/key', code: 'build_rule.parameter_reserved' }] },
    });
  });
});

describe('the Build button', () => {
  it('builds example 1 as latest, by click and by push', async () => {
    const repository = await world.makeRepository([exampleOne]);
    expect(await repository.press()).toMatchObject({ status: 202, body: { cause: 'api', imageTags: ['latest'] } });
    await repository.push('main', { after: 'e'.repeat(40) });
    expect(await repository.builds()).toMatchObject([
      { cause: 'source_push', imageTags: ['latest'] },
      { cause: 'api', imageTags: ['latest'] },
    ]);
  });

  it.each([
    ['a regular expression', { ...exampleOne, ref: { type: 'branch', name: 'ma.*', match: 'regexp' } }, 'no one ref'],
    ['a build time', { ...exampleOne, imageTags: [{ template: 'v', buildTime: 'yyyy' }] }, 'time of the source push'],
    ['a commit id', { ...exampleOne, imageTags: [{ commitIdLength: 6 }] }, 'commit id'],
    ['a commit id in a template', { ...exampleOne, imageTags: [{ template: 'v-${shortSha}' }] }, 'commit id'],
  ])('is greyed and refused for %s; naming a ref builds', async (_, rule, why) => {
    const repository = await world.makeRepository([rule]);
    expect((await world.call('GET', repository.rulePath)).body).toMatchObject({
      isManualBuildAllowed: false,
      manualBuildRefusal: expect.stringContaining(why),
    });
    expect(await repository.press()).toMatchObject({
      status: 409,
      body: { code: 'build_rule.manual_build_not_allowed', detail: expect.stringContaining(why) },
    });
    expect(await repository.builds()).toEqual([]);
    expect((await repository.press({ ref: 'main' })).status).toBe(202);
  });

  it('is refused for a disabled rule, which no push starts either', async () => {
    const repository = await world.makeRepository([{ ...exampleOne, enabled: false }]);
    for (const body of [undefined, { ref: 'main' }])
      expect(await repository.press(body)).toMatchObject({ status: 409, body: { code: 'build_rule.disabled' } });
    await repository.push('main');
    expect(await repository.lastEvent()).toMatchObject({ outcome: { kind: 'ignored', reason: 'rule_disabled' } });
    expect(await repository.builds()).toEqual([]);
  });

  it('builds any ref the rule takes, as it is now, and no other', async () => {
    const repository = await world.makeRepository([golden]);
    const first = await repository.press({ ref: 'release-v7' });
    expect(first).toMatchObject({
      status: 202,
      body: { ref: 'release-v7', commit, imageTags: ['v7-202611212000-d4ef3dc3b77a011a5779eec7efdd45'] },
    });
    expect((await repository.press({ ref: 'release-v7' })).body?.['id']).toBe(first.body?.['id']);
    expect(await repository.press({ ref: 'main' })).toMatchObject({
      status: 422,
      body: { code: 'build_rule.ref_not_matched' },
    });
    vi.mocked(world.deps.git.refResolve).mockResolvedValue(undefined);
    expect(await repository.press({ ref: 'release-gone' })).toMatchObject({
      status: 404,
      body: { code: 'source.ref_not_found' },
    });
  });
});
