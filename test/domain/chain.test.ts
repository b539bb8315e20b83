import { describe, expect, test } from 'vitest';
import { chainSchema, coveringChain } from '../../domain/chain.ts';

const chain = (name: string, scope: object, enabled = true) => chainSchema.parse({ name, scope, enabled, nodes: {} });
const web = { namespace: 'shop', name: 'web' };

describe('the chain that covers a repository', () => {
  test("is its own before its namespace's, and that before the instance's", () => {
    const all = [
      chain('instance', {}),
      chain('namespace', { namespace: 'shop' }),
      chain('own', { namespace: 'shop', repository: 'web' }),
    ];
    expect(coveringChain(all, web)?.name).toBe('own');
    expect(coveringChain(all.slice(0, 2), web)?.name).toBe('namespace');
    expect(coveringChain(all.slice(0, 1), web)?.name).toBe('instance');
  });

  test('is the next wider one where the repository is excluded, or the chain is disabled', () => {
    const excluding = chain('namespace', { namespace: 'shop', allEffective: false, exclude: ['web'] });
    expect(coveringChain([chain('instance', {}), excluding], web)?.name).toBe('instance');
    expect(
      coveringChain([chain('instance', {}), chain('own', { namespace: 'shop', repository: 'web' }, false)], web)?.name,
    ).toBe('instance');
  });

  test('of one repository touches no other, and of one namespace no other', () => {
    const own = [chain('own', { namespace: 'shop', repository: 'web' }), chain('namespace', { namespace: 'other' })];
    expect(coveringChain(own, { namespace: 'shop', name: 'api' })).toBeUndefined();
  });
});

describe('a chain is refused', () => {
  test.each([
    ['a name in capitals', { name: 'Web' }, 'name'],
    ['a name of 65 characters', { name: 'a'.repeat(65) }, 'name'],
    ['a repository without its namespace', { name: 'web', scope: { repository: 'web' } }, 'scope.namespace'],
    [
      'exclusions where all is effective',
      { name: 'web', scope: { namespace: 'shop', exclude: ['api'] } },
      'scope.exclude',
    ],
    [
      '51 exclusions',
      {
        name: 'web',
        scope: {
          namespace: 'shop',
          allEffective: false,
          exclude: Array.from({ length: 51 }, (_, index) => `r${index}`),
        },
      },
      'scope.exclude',
    ],
    [
      'a blocking scan without severity',
      { name: 'web', nodes: { scan: { strategy: 'blocking', vulnerabilities: 1 } } },
      'nodes.scan.severity',
    ],
  ])('with %s', (_, definition, path) => {
    const parsed = chainSchema.safeParse(definition);
    expect(parsed.success ? [] : parsed.error.issues.map((issue) => issue.path.join('.'))).toContain(path);
  });

  test('not with a blocking scan that only lists CVEs', () => {
    expect(
      chainSchema.safeParse({ name: 'web', nodes: { scan: { strategy: 'blocking', cveList: ['CVE-2024-3094'] } } })
        .success,
    ).toBe(true);
  });
});
