import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { buildRuleMatch, buildRuleSchema, manualBuildRefusal } from '../../domain/build.ts';
import { expandImageTags, formatBuildTime } from '../../domain/build-tags.ts';

const golden = {
  ref: { type: 'branch', name: String.raw`release-(?<imageTag>\w*)`, match: 'regexp' },
  contextDirectory: '/',
  dockerfile: 'Dockerfile',
  imageTags: [{ template: '${imageTag}', buildTime: 'yyyyMMddHHmm', commitIdLength: 30 }],
} as const;
const source = {
  ref: 'release-v1',
  refType: 'branch',
  commit: 'd4ef3dc3b77a011a5779eec7efdd45a1b2c3d4e5',
  pushedAt: '2020-10-15T08:25:46Z',
} as const;

function parse(rule: unknown): z.infer<typeof buildRuleSchema> {
  return buildRuleSchema.parse(rule);
}

/** The codes and paths of what is wrong with a rule. */
function problemsOf(rule: unknown): string[] {
  const parsed = buildRuleSchema.safeParse(rule);
  if (parsed.success) return [];
  return parsed.error.issues.map((issue) => {
    const code = issue.code === 'custom' ? issue.params?.['code'] : undefined;
    return `${issue.path.join('.')}: ${typeof code === 'string' ? code : issue.code}`;
  });
}

function tagsOf(
  rule: unknown,
  change: Partial<{ ref: string; refType: 'branch' | 'tag'; commit: string; pushedAt: string }> = {},
) {
  const definition = parse(rule);
  const pushed = { ...source, ...change };
  const groups = buildRuleMatch(definition, pushed);
  return groups === undefined ? undefined : expandImageTags(definition.imageTags, { groups, source: pushed });
}

describe('the golden rule of the product documents', () => {
  test('writes v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45', () => {
    expect(tagsOf(golden)).toEqual({ kind: 'tags', tags: ['v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45'] });
  });

  test('with a commit id of 6 ends in d4ef3d', () => {
    const rule = { ...golden, imageTags: [{ ...golden.imageTags[0], commitIdLength: 6 }] };
    expect(tagsOf(rule)).toEqual({ kind: 'tags', tags: ['v1-202010151625-d4ef3d'] });
  });

  test.each(['release-v1.2', 'x-release-v1', 'release-v1-x', 'main'])(
    'does not take %s: the whole name must match',
    (ref) => {
      expect(tagsOf(golden, { ref })).toBeUndefined();
    },
  );

  test('does not take a git tag of that name', () => {
    expect(tagsOf(golden, { refType: 'tag' })).toBeUndefined();
  });

  test('on a ref whose group is empty ends with no valid tag, and replaces nothing', () => {
    const rule = { ...golden, imageTags: [{ template: '${imageTag}' }] };
    expect(tagsOf(rule, { ref: 'release-' })).toMatchObject({ kind: 'invalid', tag: '' });
  });
});

describe('image tags', () => {
  test('of two groups are filled in', () => {
    const rule = {
      ref: { type: 'branch', name: String.raw`release-(?<major>\d*)-(?<minor>\d*)`, match: 'regexp' },
      imageTags: [{ template: '${major}.${minor}' }],
    };
    expect(tagsOf(rule, { ref: 'release-1-4' })).toEqual({ kind: 'tags', tags: ['1.4'] });
  });

  test('that come out equal count once', () => {
    const rule = {
      ref: { type: 'branch', name: 'main' },
      imageTags: [{ template: 'a' }, { template: 'a' }, { template: 'b' }],
    };
    expect(tagsOf(rule, { ref: 'main' })).toEqual({ kind: 'tags', tags: ['a', 'b'] });
  });

  test('that a captured slash makes invalid end the build', () => {
    const rule = {
      ref: { type: 'branch', name: 'feature-(?<name>.*)', match: 'regexp' },
      imageTags: [{ template: '${name}' }],
    };
    expect(tagsOf(rule, { ref: 'feature-a/b' })).toMatchObject({ kind: 'invalid', tag: 'a/b' });
  });

  test.each([
    ['2020-10-15T08:13:00Z', 'yyyyMMddHHmm', '202010151613'],
    ['2020-10-15T08:13:00Z', 'yyyyMMdd', '20201015'],
    ['2020-10-15T16:25:00Z', 'yyyy-MM-dd_HH.mm', '2020-10-16_00.25'],
    ['2020-12-31T16:00:07Z', 'yyyyMMddHHmmss', '20210101000007'],
  ])('show %s as %s in UTC+8: %s', (at, format, expected) => {
    expect(formatBuildTime(at, format, 'Etc/GMT-8')).toBe(expected);
  });

  test.each([1, 30, 40])('hold the first %i characters of the commit', (length) => {
    const rule = { ref: { type: 'branch', name: 'main' }, imageTags: [{ commitIdLength: length }] };
    expect(tagsOf(rule, { ref: 'main' })).toEqual({ kind: 'tags', tags: [source.commit.slice(0, length)] });
  });
});

describe('a build rule is refused', () => {
  const good = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };
  const parameters = (count: number) => Array.from({ length: count }, (_, index) => ({ key: `K${index}`, value: 'v' }));

  test.each([
    [
      'a look-behind',
      { ...good, ref: { type: 'branch', name: '(?<=v)x', match: 'regexp' } },
      'ref.name: regexp.invalid',
    ],
    [
      'a back-reference',
      { ...good, ref: { type: 'branch', name: String.raw`(a)\1`, match: 'regexp' } },
      'ref.name: regexp.invalid',
    ],
    [
      'a regular expression of 257 characters',
      { ...good, ref: { type: 'branch', name: 'a'.repeat(255).concat('bc'), match: 'regexp' } },
      'ref.name: too_big',
    ],
    [
      'one that is too complex',
      { ...good, ref: { type: 'branch', name: 'a{900}b{900}c{900}', match: 'regexp' } },
      'ref.name: regexp.too_complex',
    ],
    [
      'a group the regular expression lacks',
      { ...golden, imageTags: [{ template: '${nope}' }] },
      'imageTags.0.template: build_rule.unknown_group',
    ],
    [
      'a template with a group on an exact ref',
      { ...good, imageTags: [{ template: '${imageTag}' }] },
      'imageTags.0.template: build_rule.unknown_group',
    ],
    ['an image tag of nothing', { ...good, imageTags: [{}] }, 'imageTags.0: build_rule.image_tags_invalid'],
    [
      'a fourth image tag',
      { ...good, imageTags: Array.from({ length: 4 }, () => ({ template: 'a' })) },
      'imageTags: too_big',
    ],
    [
      'a build time of other letters',
      { ...good, imageTags: [{ buildTime: 'yyyyMMddX' }] },
      'imageTags.0.buildTime: invalid_format',
    ],
    ['a build time of half a field', { ...good, imageTags: [{ buildTime: 'yyy' }] }, 'imageTags.0.buildTime: custom'],
    [
      'a commit id of 41 characters',
      { ...good, imageTags: [{ commitIdLength: 41 }] },
      'imageTags.0.commitIdLength: too_big',
    ],
    ['a directory outside', { ...good, contextDirectory: 'a/../../b' }, 'contextDirectory: custom'],
    ['an unknown architecture', { ...good, architectures: ['linux/riscv64'] }, 'architectures.0: invalid_value'],
    [
      'an architecture twice',
      { ...good, architectures: ['linux/amd64', 'linux/amd64'] },
      'architectures: build_rule.architectures_invalid',
    ],
    ['21 parameters', { ...good, buildParameters: parameters(21) }, 'buildParameters: too_big'],
    [
      'a parameter twice',
      {
        ...good,
        buildParameters: [
          { key: 'A', value: '1' },
          { key: 'A', value: '2' },
        ],
      },
      'buildParameters.1.key: build_rule.build_parameters_invalid',
    ],
    [
      'a reserved parameter',
      { ...good, buildParameters: [{ key: 'Http_Proxy', value: '1' }] },
      'buildParameters.0.key: build_rule.parameter_reserved',
    ],
    [
      'a parameter over 4 KiB',
      { ...good, buildParameters: [{ key: 'A', value: 'ä'.repeat(2_049) }] },
      'buildParameters.0.value: custom',
    ],
    ['an unknown field', { ...good, colour: 'blue' }, ': unrecognized_keys'],
  ])('with %s', (_, rule, problem) => {
    expect(problemsOf(rule)).toContain(problem);
  });

  test('neither with 20 parameters nor with two that differ in case', () => {
    expect(problemsOf({ ...good, buildParameters: parameters(20) })).toEqual([]);
    expect(
      problemsOf({
        ...good,
        buildParameters: [
          { key: 'A', value: '1' },
          { key: 'a', value: '2' },
        ],
      }),
    ).toEqual([]);
  });
});

describe('the Build button', () => {
  const exact = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

  test('may be pressed on an exact ref with plain tags', () => {
    expect(manualBuildRefusal(parse(exact))).toBeUndefined();
  });

  test.each([
    [
      'a regular expression',
      { ...exact, ref: { type: 'branch', name: 'main.*', match: 'regexp' } },
      /regular expression/,
    ],
    ['a build time', { ...exact, imageTags: [{ template: 'a', buildTime: 'yyyy' }] }, /time of the source push/],
    ['a commit id', { ...exact, imageTags: [{ template: 'a', commitIdLength: 6 }] }, /commit id/],
  ])('is greyed with the reason for %s', (_, rule, reason) => {
    expect(manualBuildRefusal(parse(rule))).toMatch(reason);
  });
});
