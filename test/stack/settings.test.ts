import { describe, expect, test } from 'vitest';
import { assertMayBuild, readSettings } from '../../stack/settings.ts';

describe('npm start by somebody who is not root', () => {
  test('is told in one sentence what it needs, and what to do instead', () => {
    expect(() => assertMayBuild(readSettings([], { HOME: '/nonexistent' }), 1000)).toThrow(
      'run npm start as root, or name a BuildKit daemon in SLIPWAY_BUILDKIT_ADDRESS',
    );
  });

  test('may go on with a build daemon of another machine', () => {
    const settings = readSettings([], { HOME: '/nonexistent', SLIPWAY_BUILDKIT_ADDRESS: 'tcp://builder:1234' });
    expect(() => assertMayBuild(settings, 1000)).not.toThrow();
  });
});

describe('what keeps builds apart', () => {
  const isolationOf = (env: Record<string, string>) =>
    readSettings([], { HOME: '/nonexistent', ...env }).buildIsolation;

  test('namespaces have daemons of their own, unless one daemon is named or asked for', () => {
    expect(isolationOf({})).toBe('namespace');
    expect(isolationOf({ SLIPWAY_BUILDKIT_ADDRESS: 'tcp://builder:1234' })).toBe('shared');
    expect(isolationOf({ SLIPWAY_BUILD_ISOLATION: 'shared' })).toBe('shared');
  });

  test('one daemon for all cannot be one per namespace, and says so', () => {
    const both = { SLIPWAY_BUILDKIT_ADDRESS: 'tcp://builder:1234', SLIPWAY_BUILD_ISOLATION: 'namespace' };
    expect(() => isolationOf(both)).toThrow('leave one of them out');
    expect(() => isolationOf({ SLIPWAY_BUILD_ISOLATION: 'none' })).toThrow('it is namespace or shared');
  });
});
