import { describe, expect, it } from 'vitest';
import {
  apiAuthorization,
  credentialSchema,
  gitLogin,
  parseSourceCredential,
  toSourceCredential,
} from '../../domain/source-credential.ts';

const token = { kind: 'token', token: 't0ken' } as const;
const login = { kind: 'login', username: 'ada', password: 'geheim-ü' } as const;

describe('a credential', () => {
  it.each([
    ['github', 'x-access-token'],
    ['gitlab', 'oauth2'],
    ['gitee', 'oauth2'],
    ['bitbucket', 'x-token-auth'],
    ['bitbucket_data_center', 'x-token-auth'],
    ['gitea', 'x-access-token'],
    ['git', 'token'],
  ] as const)('that is a token goes to the git of %s under the user name %s', (host, username) => {
    expect(gitLogin(host, token)).toEqual({ username, password: 't0ken' });
    expect(gitLogin(host, login)).toEqual({ username: 'ada', password: 'geheim-ü' });
  });

  it.each([
    ['github', 'Bearer geheim-ü'],
    ['gitlab', 'Bearer geheim-ü'],
    ['gitee', 'Bearer geheim-ü'],
    ['bitbucket', `Basic ${Buffer.from('ada:geheim-ü').toString('base64')}`],
    ['bitbucket_data_center', `Basic ${Buffer.from('ada:geheim-ü').toString('base64')}`],
    ['gitea', `Basic ${Buffer.from('ada:geheim-ü').toString('base64')}`],
  ] as const)('that is a login goes to the API of %s as %s', (host, header) => {
    expect(apiAuthorization(host, login)).toBe(header);
    expect(apiAuthorization(host, token)).toBe('Bearer t0ken');
  });

  it('sealed before there were kinds is a login', () => {
    expect(parseSourceCredential('{"username":"ada","password":"x"}')).toEqual({
      kind: 'login',
      username: 'ada',
      password: 'x',
    });
    expect(parseSourceCredential(JSON.stringify(token))).toEqual(token);
  });

  it('is a login or a token, never parts of both', () => {
    expect(toSourceCredential(credentialSchema.parse({ token: 'x' }))).toEqual({ kind: 'token', token: 'x' });
    expect(credentialSchema.safeParse({ token: 'x', username: 'ada' }).success).toBe(false);
    for (const given of [{}, { username: 'ada' }, 'x'])
      expect(credentialSchema.safeParse(given).error?.issues[0]?.message).toBe(
        'Give either {"username", "password"} or {"token"}.',
      );
  });
});
