import { describe, expect, test } from 'vitest';
import { replicationRuleSchema, replicationTargets } from '../../domain/replicate.ts';

const web = { namespace: 'shop', name: 'web' };
const ruleOf = (change: object, id = 'crsr-1') => ({
  id,
  definition: replicationRuleSchema.parse({
    name: 'south',
    level: 'repository',
    source: { namespace: 'shop', repository: 'web' },
    destination: { region: 'ap-southeast-1', instance: 'singapore' },
    ...change,
  }),
});
const keysOf = (rules: ReturnType<typeof ruleOf>[], tags: string[]) =>
  replicationTargets(rules, { repository: web, tags }).map(({ key }) => key);

describe('the copies of a run', () => {
  test.each([
    ['no filter', {}, ['v1', 'latest'], ['singapore/shop/web:v1', 'singapore/shop/web:latest']],
    [
      'a filter that must match the whole tag',
      { source: { namespace: 'shop', repository: 'web', tagFilter: String.raw`v\d` } },
      ['v1', 'v12', 'xv1'],
      ['singapore/shop/web:v1'],
    ],
    [
      'another name at the destination',
      { destination: { region: 'r1', instance: 'singapore', namespace: 'copies', repository: 'shop-web' } },
      ['v1'],
      ['singapore/copies/shop-web:v1'],
    ],
    ['another repository', { source: { namespace: 'shop', repository: 'api' } }, ['v1'], []],
    ['another namespace', { source: { namespace: 'other', repository: 'web' } }, ['v1'], []],
    ['a whole namespace', { level: 'namespace', source: { namespace: 'shop' } }, ['v1'], ['singapore/shop/web:v1']],
    [
      'a namespace filtered by repository',
      { level: 'namespace', source: { namespace: 'shop', repositoryFilter: 'api.*' } },
      ['v1'],
      [],
    ],
    ['a manual rule', { start: 'manual' }, ['v1'], []],
    ['a disabled rule', { enabled: false }, ['v1'], []],
  ])('with %s', (_, change, tags, keys) => {
    expect(keysOf([ruleOf(change)], tags)).toEqual(keys);
  });

  test('that two rules send to the same place are made once', () => {
    expect(keysOf([ruleOf({}), ruleOf({ name: 'again' }, 'crsr-2')], ['v1'])).toEqual(['singapore/shop/web:v1']);
  });
});

test.each([
  ['a repository at the level namespace', { level: 'namespace' }],
  ['no repository at the level repository', { source: { namespace: 'shop' } }],
])('a rule with %s is refused', (_, change) => {
  const parsed = replicationRuleSchema.safeParse({ ...ruleOf({}).definition, ...change });
  expect(parsed.success ? undefined : parsed.error.issues[0]).toMatchObject({
    params: { code: 'replication.source_incomplete' },
  });
});
