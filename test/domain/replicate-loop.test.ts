import { describe, expect, it } from 'vitest';
import { replicationLoop } from '../../domain/replicate-loop.ts';
import type { PlacedReplicationRule } from '../../domain/replicate-loop.ts';
import { replicationRuleSchema } from '../../domain/replicate.ts';

/** `rule('a:shop/web', 'b:shop')`; without a repository the rule is one of a whole namespace. */
function rule(from: string, to: string, repositoryFilter = '.*'): PlacedReplicationRule {
  const [source, destination] = [place(from), place(to)];
  return {
    instance: source.instance,
    definition: replicationRuleSchema.parse({
      name: `${from}-${to}`,
      level: source.repository === null ? 'namespace' : 'repository',
      source: { namespace: source.namespace, repository: source.repository, repositoryFilter },
      destination: { region: 'any', ...destination },
    }),
  };
}

function place(text: string) {
  const [instance = '', path = ''] = text.split(':');
  const [namespace = '', repository = null] = path.split('/');
  return { instance, namespace, repository };
}

describe('replicationLoop', () => {
  it('lets rules form a tree', () => {
    const rules = [rule('a:shop', 'b:shop'), rule('b:shop', 'c:shop'), rule('a:shop', 'd:shop')];
    expect(replicationLoop(rules, rule('b:shop', 'e:shop'))).toBeUndefined();
  });

  it('finds the way back over any number of instances', () => {
    expect(replicationLoop([rule('b:shop', 'a:shop')], rule('a:shop', 'b:shop'))).toEqual(['a', 'b', 'a']);
    const rules = [rule('b:shop', 'c:shop'), rule('c:shop', 'a:shop')];
    expect(replicationLoop(rules, rule('a:shop', 'b:shop'))).toEqual(['a', 'b', 'c', 'a']);
  });

  it('ends on rules that go round elsewhere', () => {
    const ring = [rule('b:shop', 'c:shop'), rule('c:shop', 'b:shop')];
    expect(replicationLoop(ring, rule('a:shop', 'b:shop'))).toBeUndefined();
  });

  it('lets images come back under another namespace or repository', () => {
    expect(replicationLoop([rule('b:shop', 'a:archive')], rule('a:shop', 'b:shop'))).toBeUndefined();
    expect(replicationLoop([rule('b:shop/web', 'a:shop/old')], rule('a:shop/web', 'b:shop/web'))).toBeUndefined();
  });

  it('knows which repositories a filter takes', () => {
    const back = rule('b:shop', 'a:shop', 'api-.*');
    expect(replicationLoop([back], rule('a:shop/web', 'b:shop'))).toBeUndefined();
    expect(replicationLoop([back], rule('a:shop/api-one', 'b:shop'))).toEqual(['a', 'b', 'a']);
  });

  it('follows a repository of a whole namespace', () => {
    expect(replicationLoop([rule('b:shop/web', 'a:shop')], rule('a:shop', 'b:shop'))).toEqual(['a', 'b', 'a']);
  });
});
