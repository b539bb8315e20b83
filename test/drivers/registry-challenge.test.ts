import { describe, expect, test } from 'vitest';
import { checkedRealm, parseChallenges } from '../../activities/drivers/registry-challenge.ts';

describe('a challenge', () => {
  test.for<[string, ReturnType<typeof parseChallenges>]>([
    [
      'Bearer realm="https://auth.example.com/token",service="r.example.com",scope="repository:a/b:pull,push"',
      [
        {
          scheme: 'bearer',
          parameters: {
            realm: 'https://auth.example.com/token',
            service: 'r.example.com',
            scope: 'repository:a/b:pull,push',
          },
        },
      ],
    ],
    [
      'Basic realm="Registry, \\"inner\\" part"',
      [{ scheme: 'basic', parameters: { realm: 'Registry, "inner" part' } }],
    ],
    [
      'Basic realm="x", Bearer realm="https://t.example/",service=plain',
      [
        { scheme: 'basic', parameters: { realm: 'x' } },
        { scheme: 'bearer', parameters: { realm: 'https://t.example/', service: 'plain' } },
      ],
    ],
    [
      'Negotiate, Basic realm="x"',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'x' } },
      ],
    ],
    [
      'bearer REALM = "https://t.example/" , Service="s"',
      [{ scheme: 'bearer', parameters: { realm: 'https://t.example/', service: 's' } }],
    ],
    ['', []],
    ['"', []],
  ])('%s', ([header, challenges]) => {
    expect(parseChallenges(header)).toEqual(challenges);
  });
});

describe('credentials', () => {
  test.for([
    ['https://registry.example.com', 'https://registry.example.com/token'],
    ['https://registry-1.docker.io', 'https://auth.docker.io/token'],
    ['https://registry.example.co.uk', 'https://auth.example.co.uk/token'],
    ['https://registry.example.com', 'https://registry.example.com:8443/token'],
  ])('for %s may go to %s', ([registry = '', realm = '']) => {
    expect(checkedRealm(realm, { registry: new URL(registry), isInsecure: false }).href).toBe(realm);
  });

  test.for([
    ['https://registry.example.com', 'https://evil.test/token', 'it belongs to somebody else'],
    ['https://registry.example.co.uk', 'https://evil.co.uk/token', 'it belongs to somebody else'],
    ['https://alice.github.io', 'https://mallory.github.io/token', 'it belongs to somebody else'],
    ['https://registry.example.com', 'https://registry.example.com.evil.test/token', 'it belongs to somebody else'],
    ['https://10.0.0.1', 'https://10.0.0.2/token', 'it belongs to somebody else'],
    ['https://registry.example.com', 'http://registry.example.com/token', 'it is not https'],
    ['https://registry.example.com', 'file:///etc/passwd', 'it is not https'],
    ['https://registry.example.com', 'https://user:x@registry.example.com/token', 'it is not a plain URL'],
    ['https://registry.example.com', '/token', 'it is not a plain URL'],
  ])('for %s never go to %s: %s', ([registry = '', realm = '', why]) => {
    expect(() => checkedRealm(realm, { registry: new URL(registry), isInsecure: false })).toThrow(why);
  });

  test('may go to a token server the administrator named, and to plain http where the registry is marked insecure', () => {
    const registry = new URL('http://127.0.0.1:5001');
    const tokenServer = 'http://tokens.internal:3000/auth/token';
    expect(checkedRealm(tokenServer, { registry, isInsecure: false, tokenServer }).href).toBe(tokenServer);
    expect(checkedRealm('http://127.0.0.1:3000/auth/token', { registry, isInsecure: true }).port).toBe('3000');
  });
});
