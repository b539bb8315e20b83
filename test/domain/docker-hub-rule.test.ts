import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildRuleMatch } from '../../domain/build.ts';
import { expandImageTags } from '../../domain/build-tags.ts';
import { dockerHubRuleSchema, translateDockerHubRule } from '../../domain/docker-hub-rule.ts';

/** A rule of Docker Hub, translated. */
function translate(rule: object) {
  const whole = { source_type: 'Tag', source_name: 'x', docker_tag: 'latest', ...rule };
  return translateDockerHubRule(dockerHubRuleSchema.parse(whole));
}

/** The tags the translated rule writes for a ref; undefined where it does not take it. */
function tagsOf(rule: object, ref: string) {
  const imported = translate(rule);
  if (imported.kind === 'refused') throw new Error(JSON.stringify(imported.problems));
  const source = {
    ref,
    refType: imported.definition.ref.type,
    commit: 'a'.repeat(40),
    pushedAt: '2026-01-01T00:00:00Z',
  };
  const groups = buildRuleMatch(imported.definition, source);
  if (groups === undefined) return undefined;
  const expanded = expandImageTags(imported.definition.imageTags, { groups, source });
  return expanded.kind === 'tags' ? expanded.tags : 'invalid';
}

describe('a rule of Docker Hub', () => {
  it.each([
    ['/^v([0-9.]+)$/', String.raw`v{\1}`, 'v1.4.2', ['v1.4.2']],
    ['/^v([0-9.]+)$/', String.raw`v{\1}`, 'xv1.4', undefined],
    ['/^v([0-9]+)[0-9.]*$/', String.raw`v{\1}`, 'v10.1.2', ['v10']],
    ['/[0-9.]+$/', 'version-{sourceref}', 'release-1.2', ['version-release-1.2']],
    ['/[0-9.]+$/', 'version-{sourceref}', '1.2-beta', undefined],
    [String.raw`/^([0-9]+)\.([0-9]+)$/`, String.raw`{\2}-{\1}-{sourceref}`, '3.7', ['7-3-3.7']],
    ['/(alice|bob)-v([0-9.]+)/', String.raw`{\1}-{\2}`, 'from-bob-v2.5-now', ['bob-2.5']],
    ['/^a(?:b|c)(d)$/', String.raw`{\1}`, 'acd', ['d']],
    ['/^(?P<name>[a-z]+)-([0-9]+)$/', String.raw`{\1}.{\2}`, 'web-7', ['web.7']],
    [String.raw`/^\(x\)([(]+)(y)$/`, String.raw`{\2}`, '(x)((y', ['y']],
    ['/^v1|^w(.*)$/', String.raw`n{\1}`, 'w2', ['n2']],
    ['/^v1|^w(.*)$/', String.raw`n{\1}`, 'v1-anything', ['n']],
    ['/^v(.*)$/', String.raw`{\1}, latest`, 'v3', ['3', 'latest']],
    ['main', 'latest', 'main', ['latest']],
    ['main', 'latest', 'main2', undefined],
    ['main', '{sourceref}', 'main', ['main']],
  ])('%s with %s makes of %s the tags %j', (source_name, docker_tag, ref, tags) => {
    expect(tagsOf({ source_name, docker_tag }, ref)).toEqual(tags);
  });

  it('searches its expression anywhere in the name, with the same captures', () => {
    const expression = fc.constantFrom(
      '([ab]+)([0-9]*)',
      '^([ab]+?)([0-9]+)$',
      '([a-b]*?)-([0-9]+)',
      '(a|ab)(.*)$',
      '^(b*)(a?)',
      '(a+)|(b+)',
    );
    const ref = fc.string({ unit: fc.constantFrom('a', 'b', '-', '1', '2'), minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(expression, ref, (pattern, name) => {
        const found = new RegExp(pattern).exec(name);
        const expected = found === null ? undefined : [`x${found[1] ?? ''}.${found[2] ?? ''}`];
        const rule = { source_name: `/${pattern}/`, docker_tag: String.raw`x{\1}.{\2}` };
        expect([pattern, name, tagsOf(rule, name)]).toEqual([pattern, name, expected]);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    [{ dockerfile_location: '/', build_context: '/' }, '/', 'Dockerfile'],
    [{ dockerfile_location: 'Dockerfile', build_context: '/app' }, '/app', 'Dockerfile'],
    [{ dockerfile_location: '/docker/prod.Dockerfile', build_context: '/app/' }, '/app/', 'docker/prod.Dockerfile'],
    [{ dockerfile_location: 'docker/', build_context: '/' }, '/', 'docker/Dockerfile'],
    [{ dockerfile_location: '/' }, '/', 'Dockerfile'],
    [{ dockerfile_location: '/web' }, '/web', 'Dockerfile'],
    [{ dockerfile_location: '/web/Dockerfile.alpine', build_context: '' }, '/web', 'Dockerfile.alpine'],
    [{ dockerfile: 'Dockerfile', build_context: '/' }, '/', 'Dockerfile'],
    [{}, '/', 'Dockerfile'],
  ])('of %j builds in %s with %s', (place, contextDirectory, dockerfile) => {
    expect(translate(place)).toMatchObject({ kind: 'rule', definition: { contextDirectory, dockerfile } });
  });

  it.each([
    ['docker_tag', { docker_tag: '1.0' }],
    ['tag', { docker_tag: undefined, tag: '1.0' }],
    ['name', { docker_tag: undefined, name: '1.0' }],
  ])('may call its tag %s', (_, rule) => {
    expect(translate(rule)).toMatchObject({ definition: { imageTags: [{ template: '1.0' }] } });
  });

  it('tells what it leaves open', () => {
    expect(translate({ autobuild: false, nocache: true, envvars: [{ key: 'A', value: 'B' }] })).toMatchObject({
      kind: 'rule',
      definition: { enabled: false },
      notes: [
        expect.stringContaining('Autobuild was off'),
        expect.stringContaining('without cache'),
        expect.stringContaining('Environment variables'),
      ],
    });
  });

  it.each([
    ['another type', { source_type: 'PullRequest' }, 'source_type', 'build_rule.import_untranslatable'],
    ['no tag', { docker_tag: ' , ' }, 'docker_tag', 'build_rule.import_untranslatable'],
    ['four tags', { docker_tag: 'a,b,c,d' }, 'docker_tag', 'build_rule.import_untranslatable'],
    ['a group of a name', { docker_tag: String.raw`{\1}` }, 'docker_tag', 'build_rule.import_untranslatable'],
    [
      'a group the expression lacks',
      { source_name: '/^v(.*)$/', docker_tag: String.raw`{\2}` },
      'docker_tag',
      'build_rule.import_untranslatable',
    ],
    [
      'a word nobody knows',
      { source_name: '/^v$/', docker_tag: '{branch}' },
      'docker_tag',
      'build_rule.import_untranslatable',
    ],
    ['an open brace', { docker_tag: 'v{sourceref' }, 'docker_tag', 'build_rule.import_untranslatable'],
    ['a tag that is none', { docker_tag: 'my tag' }, 'docker_tag', 'build_rule.import_untranslatable'],
    ['a look-ahead', { source_name: '/^v(?!1)/' }, 'source_name', 'regexp.invalid'],
    ['an endless expression', { source_name: `/${'a'.repeat(300)}/` }, 'source_name', 'regexp.too_long'],
    ['a context outside', { build_context: '../up' }, 'build_context', 'build_rule.import_untranslatable'],
  ])('with %s is refused', (_, rule, field, code) => {
    expect(translate(rule)).toMatchObject({
      kind: 'refused',
      problems: [{ field, code, message: expect.any(String) }],
    });
  });
});
