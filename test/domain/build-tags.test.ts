import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildRuleMatch, buildRuleSchema } from '../../domain/build.ts';
import { expandImageTag, expandImageTags, formatBuildTime, imageTagSchema } from '../../domain/build-tags.ts';
import { isTag } from '../../domain/image-ref.ts';
import { parseSemanticVersion } from '../../domain/semantic-version.ts';

const commit = '860c190a1b2c3d4e5f60718293a4b5c6d7e8f901';
const at = '2020-01-10T00:30:00Z';

/** The tag one template makes for a ref; null where none is made. */
function tagOf(template: string, ref: string, refType: 'branch' | 'tag' = 'tag'): string | null {
  const source = { ref, refType, commit, pushedAt: at };
  const expanded = expandImageTag(imageTagSchema.parse({ template }), { groups: {}, source });
  return expanded.kind === 'tag' ? expanded.tag : null;
}

/** The tags a whole rule makes for a git tag of this name. */
function tagsOf(rule: object, ref: string) {
  const definition = buildRuleSchema.parse(rule);
  const source = { ref, refType: definition.ref.type, commit, pushedAt: at };
  const groups = buildRuleMatch(definition, source);
  return groups === undefined ? undefined : expandImageTags(definition.imageTags, { groups, source });
}

// Git refs and results as the tables of docker/metadata-action's README and its tests have them.
describe('docker/metadata-action and a template agree', () => {
  it.each([
    ['v1.2.3', '{{raw}}', '${semver:raw}', 'v1.2.3'],
    ['v1.2.3', '{{version}}', '${semver:version}', '1.2.3'],
    ['v1.2.3', '{{major}}.{{minor}}', '${semver:major}.${semver:minor}', '1.2'],
    ['v1.2.3', 'v{{major}}', 'v${semver:major}', 'v1'],
    ['v1.2.3', '{{minor}}', '${semver:minor}', '2'],
    ['v1.2.3', '{{patch}}', '${semver:patch}', '3'],
    ['v2.0.8-beta.67', '{{raw}}', '${semver:raw}', 'v2.0.8-beta.67'],
    ['v2.0.8-beta.67', '{{version}}', '${semver:version}', '2.0.8-beta.67'],
    ['v2.0.8-beta.67', '{{major}}.{{minor}}', '${semver:major}.${semver:minor}', '2.0.8-beta.67'],
    ['v2.0.8-beta.67', '{{major}}', '${semver:major}', '2.0.8-beta.67'],
    ['v101.12.13', '{{major}}.{{minor}}', '${semver:major}.${semver:minor}', '101.12'],
    ['v9.5.7-alpha.2+fork.3.1.8', '{{version}}', '${semver:version}', '9.5.7-alpha.2'],
    ['v9.5.7-alpha.2+fork.3.1.8', '{{raw}}', '${semver:raw}', 'v9.5.7-alpha.2-fork.3.1.8'],
    ['20200110-RC2', '{{version}}', '${semver:version}', null],
    ['p1/v1.0.0', '{{version}}', '${semver:version}', null],
    ['1.2', '{{version}}', '${semver:version}', null],
    ['sometag', '{{version}}', '${semver:version}', null],
  ])('type=semver on %s with %s', (ref, _, template, tag) => {
    expect(tagOf(template, ref)).toBe(tag);
  });

  it.each([
    ['branch', 'master', '${branch}', 'master'],
    ['branch', 'my/branch', '${branch}', 'my-branch'],
    ['tag', 'v1.2.3', '${tag}', 'v1.2.3'],
    ['tag', 'v2.0.8-beta.67', '${tag}', 'v2.0.8-beta.67'],
    ['tag', 'p1/v1.0.0', '${tag}', 'p1-v1.0.0'],
    ['branch', 'my/unix:ns', '${branch}', 'my-unix-ns'],
  ] as const)('type=ref on %s %s', (refType, ref, template, tag) => {
    expect(tagOf(template, ref, refType)).toBe(tag);
  });

  it.each([
    ['type=sha', 'sha-${shortSha}', 'sha-860c190'],
    ['type=sha,format=long', 'sha-${sha}', `sha-${commit}`],
    ['type=raw,value=mytag-{{branch}}-{{sha}}', 'mytag-${branch}-${shortSha}', 'mytag-main-860c190'],
    ['type=raw,value=foo', 'foo', 'foo'],
  ])('%s', (_, template, tag) => {
    expect(tagOf(template, 'main', 'branch')).toBe(tag);
  });

  it.each([
    ["{{date 'YYYYMMDD'}}", 'yyyyMMdd', 'UTC', '20200110'],
    ["{{date 'YYYYMMDD-HHmmss' tz='Asia/Tokyo'}}", 'yyyyMMdd-HHmmss', 'Asia/Tokyo', '20200110-093000'],
  ])('type=schedule with %s', (_, buildTime, timeZone, tag) => {
    const imageTag = imageTagSchema.parse({ buildTime, timeZone });
    const source = { ref: 'main', refType: 'branch', commit, pushedAt: at } as const;
    expect(expandImageTag(imageTag, { groups: {}, source })).toEqual({ kind: 'tag', tag });
  });

  it.each([
    ['v1.2.3', String.raw`.*?(?<all>\d.\d.\d).*?`, '1.2.3'],
    ['v2.0.8-beta.67', 'v(?<all>.*)', '2.0.8-beta.67'],
    ['v2.0.8-beta.67', String.raw`v(?<all>\d.\d).*`, '2.0'],
    ['20200110-RC2', String.raw`(?<all>\d+).*`, '20200110'],
    ['p1/v1.2.3', String.raw`p1/v(?<all>\d.\d.\d)`, '1.2.3'],
  ])('type=match on %s, as a named group of the rule', (ref, name, tag) => {
    const rule = { ref: { type: 'tag', name, match: 'regexp' }, imageTags: [{ template: '${all}' }] };
    expect(tagsOf(rule, ref)).toEqual({ kind: 'tags', tags: [tag] });
  });
});

describe('semantic versions', () => {
  const releases = {
    ref: { type: 'tag', name: '.*', match: 'regexp' },
    imageTags: [
      { template: '${semver:version}' },
      { template: '${semver:major}.${semver:minor}' },
      { template: '${semver:major}' },
    ],
  };

  it('move the short tags of a release', () => {
    expect(tagsOf(releases, 'v1.2.3')).toEqual({ kind: 'tags', tags: ['1.2.3', '1.2', '1'] });
  });

  it('of a pre-release move no short tag', () => {
    expect(tagsOf(releases, 'v1.3.0-rc.1')).toEqual({ kind: 'tags', tags: ['1.3.0-rc.1'] });
  });

  it('of a pre-release keep what stands around them', () => {
    expect(tagOf('web-${semver:major}.${semver:minor}-alpine', 'v1.3.0-rc.1')).toBe('web-1.3.0-rc.1-alpine');
  });

  it('can be read from a part of the name', () => {
    const rule = {
      ref: { type: 'tag', name: '(?<app>[a-z]+)/v(?<number>.*)', match: 'regexp' },
      imageTags: [{ template: '${app}-${semver:major:number}' }],
    };
    expect(tagsOf(rule, 'web/v4.5.6')).toEqual({ kind: 'tags', tags: ['web-4'] });
  });

  it('that a name lacks leave their tag out, and the others are written', () => {
    const rule = { ...releases, imageTags: [{ template: '${tag}' }, { template: '${semver:version}' }] };
    expect(tagsOf(rule, 'nightly')).toEqual({ kind: 'tags', tags: ['nightly'] });
  });

  it('that every tag needs and the name lacks end the build with a sentence', () => {
    expect(tagsOf(releases, 'nightly')).toMatchObject({
      kind: 'invalid',
      text: expect.stringContaining('"nightly" holds none'),
    });
  });

  it.each([
    ['1.2.3', '1.2.3'],
    ['v1.2.3', '1.2.3'],
    ['0.0.0-0', '0.0.0-0'],
    ['1.0.0-alpha.-x.7', '1.0.0-alpha.-x.7'],
    ['1.0.0+21AF26D3', '1.0.0'],
    ['01.2.3', undefined],
    ['1.2.3-01', undefined],
    ['1.2.3-', undefined],
    ['V1.2.3', undefined],
    ['1.2.3.4', undefined],
    [' 1.2.3', undefined],
  ])('%j is the version %s', (text, version) => {
    expect(parseSemanticVersion(text)?.version).toBe(version);
  });
});

describe('a template', () => {
  it('whose word is also a group takes the group', () => {
    const rule = {
      ref: { type: 'branch', name: 'release/(?<branch>.*)', match: 'regexp' },
      imageTags: [{ template: '${branch}' }],
    };
    expect(tagsOf(rule, 'release/one')).toEqual({ kind: 'tags', tags: ['one'] });
  });

  it.each([
    ['the branch of a git tag', 'tag', '${branch}'],
    ['the git tag of a branch', 'branch', '${tag}'],
    ['an unknown part of a version', 'tag', '${semver:build}'],
    ['the version of a group there is not', 'tag', '${semver:version:nope}'],
    ['a word nobody knows', 'tag', '${nope}'],
    ['nothing', 'tag', '${}'],
  ])('may not name %s', (_, type, template) => {
    const parsed = buildRuleSchema.safeParse({ ref: { type, name: 'x' }, imageTags: [{ template }] });
    expect(parsed.error?.issues).toMatchObject([
      { path: ['imageTags', 0, 'template'], params: { code: 'build_rule.unknown_group' } },
    ]);
  });

  it('can mean a part of a version and a group apart: no group has a colon in its name', () => {
    const ref = { type: 'tag', name: '(?<semver:version>.*)', match: 'regexp' };
    const parsed = buildRuleSchema.safeParse({ ref, imageTags: [{ template: '${semver:version}' }] });
    expect(parsed.error?.issues).toMatchObject([{ path: ['ref', 'name'], params: { code: 'regexp.invalid' } }]);
  });

  it('never makes what is no tag, whatever was captured', () => {
    const ref = fc.string({ maxLength: 40 });
    const template = fc.array(
      fc.oneof(
        fc.string({ maxLength: 6 }),
        fc.constantFrom('${x}', '${branch}', '${sha}', '${shortSha}', '${semver:version}', '${semver:major:x}', '${'),
      ),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(ref, ref, template, (name, captured, parts) => {
        const source = { ref: name, refType: 'branch', commit, pushedAt: at } as const;
        const imageTag = { template: parts.join(''), buildTime: null, commitIdLength: null, timeZone: 'UTC' };
        const expanded = expandImageTag(imageTag, { groups: { x: captured }, source });
        expect(expanded.kind === 'tag' ? isTag(expanded.tag) : expanded.text.length > 0).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('puts what was captured into the tag as it is, or makes no tag', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 150 }), (captured) => {
        const source = { ref: 'x', refType: 'branch', commit, pushedAt: at } as const;
        const expanded = expandImageTag(imageTagSchema.parse({ template: '${x}' }), {
          groups: { x: captured },
          source,
        });
        expect(expanded.kind === 'tag' ? expanded.tag : captured).toBe(captured);
        expect(expanded.kind === 'tag').toBe(isTag(captured));
      }),
    );
  });
});

describe('the zone of a build time', () => {
  it.each([
    ['Etc/GMT-8', '2020-10-16 00.25'],
    ['UTC', '2020-10-15 16.25'],
    ['Europe/Berlin', '2020-10-15 18.25'],
    ['America/New_York', '2020-10-15 12.25'],
    ['Asia/Kathmandu', '2020-10-15 22.10'],
  ])('%s shows 16:25Z as %s', (timeZone, shown) => {
    expect(formatBuildTime('2020-10-15T16:25:00Z', 'yyyy-MM-dd_HH.mm', timeZone).replace('_', ' ')).toBe(shown);
  });

  it('follows summer time, and midnight is hour 00', () => {
    expect(formatBuildTime('2026-03-29T00:59:59Z', 'HHmmss', 'Europe/Berlin')).toBe('015959');
    expect(formatBuildTime('2026-03-29T01:00:00Z', 'HHmmss', 'Europe/Berlin')).toBe('030000');
    expect(formatBuildTime('2026-01-01T16:00:00Z', 'yyyyMMddHHmm', 'Etc/GMT-8')).toBe('202601020000');
  });
});
