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
