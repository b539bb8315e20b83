import { describe, expect, it } from 'vitest';
import { ConfigInvalid } from '../../domain/config.ts';
import { findGithubApp, findOauthApp, parseSourceApps } from '../../domain/source-apps.ts';

const secret = { clientId: 'id', clientSecret: 'secret' };
const privateKey = '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n';

describe('the applications registered with source hosts', () => {
  it('are found by host and address; public hosts need none', () => {
    const apps = parseSourceApps(
      JSON.stringify({
        oauth: [
          { host: 'gitlab', ...secret },
          { host: 'gitea', baseUrl: 'https://git.example.com/', ...secret },
        ],
        githubApps: [{ slug: 'acme-slipway', appId: 42, privateKey, ...secret }],
      }),
    );
    expect(findOauthApp(apps, { host: 'gitlab', baseUrl: 'https://gitlab.com' })).toMatchObject(secret);
    expect(findOauthApp(apps, { host: 'gitea', baseUrl: 'https://git.example.com' })).toMatchObject(secret);
    expect(findOauthApp(apps, { host: 'gitea', baseUrl: 'https://other.example.com' })).toBeUndefined();
    expect(findGithubApp(apps, { host: 'github', baseUrl: 'https://github.com' })).toMatchObject({ appId: '42' });
    expect(findGithubApp(apps, { host: 'gitlab', baseUrl: 'https://github.com' })).toBeUndefined();
  });

  it.each([
    ['no JSON', '{', 'the file holds no JSON'],
    ['a host without an address', { oauth: [{ host: 'gitea', ...secret }] }, 'is needed for this kind of host'],
    ['a plain git server', { oauth: [{ host: 'git', ...secret }] }, 'oauth.0.host'],
    ['a key that is none', { githubApps: [{ slug: 'a', appId: 1, privateKey: 'x', ...secret }] }, 'PEM form'],
    ['a misspelt member', { oAuth: [] }, 'oAuth'],
  ])('stop the process when the file holds %s', (_what, file, problem) => {
    const text = typeof file === 'string' ? file : JSON.stringify(file);
    expect(() => parseSourceApps(text)).toThrow(ConfigInvalid);
    expect(() => parseSourceApps(text)).toThrow(problem);
    expect(() => parseSourceApps(text)).not.toThrow('secret');
  });
});
