import { describe, expect, it } from 'vitest';
import { coversPath, parseScopes, splitPath } from '../../domain/registry-scope.ts';

describe('parseScopes', () => {
  it('reads type, name and actions; several in one parameter too', () => {
    expect(
      parseScopes(['repository:shop/web:pull,push registry:catalog:*', 'repository:host:5000/shop/web:pull']),
    ).toEqual([
      { type: 'repository', name: 'shop/web', actions: ['pull', 'push'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
      { type: 'repository', name: 'host:5000/shop/web', actions: ['pull'] },
    ]);
  });

  it('reads the class of a repository as part of its type', () => {
    expect(parseScopes(['repository(plugin):shop/web:pull'])).toEqual([
      { type: 'repository', name: 'shop/web', actions: ['pull'] },
    ]);
  });

  it('takes what cannot be read as asking for nothing', () => {
    expect(parseScopes(['', 'repository', 'repository:shop', ' '])).toEqual([]);
    expect(parseScopes(['repository:shop/web:'])).toEqual([{ type: 'repository', name: 'shop/web', actions: [] }]);
  });
});

describe('splitPath', () => {
  it('takes the first part as the namespace', () => {
    expect(splitPath('shop/web')).toEqual({ namespace: 'shop', name: 'web' });
    expect(splitPath('shop/web/admin')).toEqual({ namespace: 'shop', name: 'web/admin' });
  });

  it.each(['web', '/web', 'shop/', 'shop/../admin', 'Shop/web', 'shop%2fweb', 'shop//web', 'shop/web:v1'])(
    'refuses %s',
    (path) => {
      expect(splitPath(path)).toBeUndefined();
    },
  );
});

describe('coversPath', () => {
  it('takes the path itself, everything of a namespace, or everything', () => {
    expect(coversPath('shop/web', 'shop/web')).toBe(true);
    expect(coversPath('shop/*', 'shop/web/admin')).toBe(true);
    expect(coversPath('*', 'any/thing')).toBe(true);
  });

  it('does not take a namespace that only begins alike', () => {
    expect(coversPath('shop/*', 'shop2/web')).toBe(false);
    expect(coversPath('shop/web', 'shop/web2')).toBe(false);
    expect(coversPath('sh*', 'shop/web')).toBe(false);
  });
});
