import { expect, test } from 'vitest';
import type { SourceAccount } from '../../console/src/api-source.ts';
import {
  accountName,
  definitionOfAccount,
  draftOfAccount,
  hostForms,
  newSourceAccount,
  wayKey,
  waysOf,
} from '../../console/src/forms/source-account.ts';
import { baseUrlOf, sourceAccountSchema, sourceHostNames } from '../../domain/source.ts';

const account: SourceAccount = {
  id: 'src-1',
  instance: 'hangzhou',
  name: null,
  host: 'gitea',
  baseUrl: 'https://git.example.com/code',
  caCertificate: null,
  hasCredential: true,
  credentialKind: 'token',
  repositories: 2,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const app = { host: 'gitea', baseUrl: account.baseUrl, flow: 'oauth' } as const;

test('a new account of every host is one the API takes, and addresses may be left out where the API knows them', () => {
  for (const host of sourceHostNames) {
    const { publicUrl } = hostForms[host];
    expect(publicUrl).toBe(baseUrlOf({ host }) || null);
    const draft = { ...newSourceAccount(host, []), token: 't', baseUrl: publicUrl === null ? 'https://x.example' : '' };
    for (const kind of ['token', 'none'] as const)
      expect(sourceAccountSchema.safeParse(definitionOfAccount({ ...draft, way: { kind } })).error).toBeUndefined();
  }
});

test('a credential is sent as it is meant: kept when left out, taken away with null, a login with both parts', () => {
  const draft = draftOfAccount(account);
  const sent = { host: 'gitea', name: null, baseUrl: account.baseUrl, caCertificate: null };
  expect(definitionOfAccount(draft)).toEqual(sent);
  expect(definitionOfAccount({ ...draft, way: { kind: 'none' } })).toEqual({ ...sent, credential: null });
  const login = { ...draft, name: ' ours ', way: { kind: 'login' }, username: ' ci ', password: ' p ' } as const;
  expect(definitionOfAccount(login)).toEqual({
    ...sent,
    name: 'ours',
    credential: { username: 'ci', password: ' p ' },
  });
});

test('the browser is offered for the hosts an application is registered with, for an account only at its own address', () => {
  const authorizations = [app, { ...app, baseUrl: 'https://other.example.com' }];
  const keys = (of: SourceAccount | null) => waysOf({ host: 'gitea', account: of, authorizations }).map(wayKey);
  expect(keys(null)).toEqual([
    'oauth https://git.example.com/code',
    'oauth https://other.example.com',
    'token',
    'login',
    'none',
  ]);
  expect(keys(account)).toEqual(['keep', 'oauth https://git.example.com/code', 'token', 'login', 'none']);
  expect(keys({ ...account, hasCredential: false }).includes('keep')).toBe(false);
});

test('an account without a name is known by the host of its address', () => {
  expect(accountName(account)).toBe('git.example.com');
  expect(accountName({ ...account, name: 'ours' })).toBe('ours');
});
