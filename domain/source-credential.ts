import { z } from 'zod';
import type { SourceHost } from './source.ts';

const text = (length: number) => z.string().min(1).max(length);

/** A credential as people give it: a login, or a token alone. Write-only, sealed at rest (docs/product.md, section 5). */
export const credentialSchema = z.union(
  [z.strictObject({ username: text(255), password: text(4_096) }), z.strictObject({ token: text(4_096) })],
  { error: 'Give either {"username", "password"} or {"token"}.' },
);
export type GivenCredential = z.infer<typeof credentialSchema>;

const oauthGrant = z.object({
  kind: z.literal('oauth'),
  accessToken: z.string(),
  /** null: the access token lives until it is revoked. */
  refreshToken: z.string().nullable(),
  /** RFC 3339; null: it does not end by itself. */
  expiresAt: z.string().nullable(),
});

/** A credential as it is sealed. */
const sealedCredential = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('login'), username: z.string(), password: z.string() }),
  z.object({ kind: z.literal('token'), token: z.string() }),
  oauthGrant,
  z.object({ kind: z.literal('installation'), installationId: z.string() }),
]);
export type SourceCredential = Readonly<z.infer<typeof sealedCredential>>;
export type OauthGrant = Readonly<z.infer<typeof oauthGrant>>;

/** Which credential a source account holds: a login, a token, an OAuth grant, or an installation of a GitHub App. */
export const credentialKinds = ['login', 'token', 'oauth', 'installation'] as const;
export type CredentialKind = (typeof credentialKinds)[number];

/** What people gave, with its kind; null where they gave none. */
export function toSourceCredential(given: GivenCredential | null | undefined): HostSecret | null {
  if (given === null || given === undefined) return null;
  return 'token' in given ? { kind: 'token', ...given } : { kind: 'login', ...given };
}

/** Reads a sealed credential; one without a kind is a login. Throws a ZodError when it is none. */
export function parseSourceCredential(sealed: string): SourceCredential {
  const value: unknown = JSON.parse(sealed);
  return sealedCredential.parse({ kind: 'login', ...z.looseObject({}).parse(value) });
}

/** What is shown to a source host: a token, or a user name with its password. */
export type HostSecret =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'login'; readonly username: string; readonly password: string };

/** User names under which each host takes a token in place of a password over git. */
const tokenUsers: Readonly<Record<SourceHost, string>> = {
  github: 'x-access-token',
  gitlab: 'oauth2',
  gitee: 'oauth2',
  bitbucket: 'x-token-auth',
  bitbucket_data_center: 'x-token-auth',
  gitea: 'x-access-token',
  git: 'token',
};

/** The login git sends: hosts take a token as the password of a user name of their own choice. */
export function gitLogin(host: SourceHost, secret: HostSecret): { username: string; password: string } {
  if (secret.kind === 'login') return { username: secret.username, password: secret.password };
  return { username: tokenUsers[host], password: secret.token };
}

/** Hosts whose HTTP API takes a user name and password; the others take tokens only, so the password is one. */
const basicHosts: readonly SourceHost[] = ['bitbucket', 'bitbucket_data_center', 'gitea'];

/** The value of `Authorization` for a host's HTTP API. */
export function apiAuthorization(host: SourceHost, secret: HostSecret): string {
  if (secret.kind === 'token') return `Bearer ${secret.token}`;
  if (!basicHosts.includes(host)) return `Bearer ${secret.password}`;
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${secret.username}:${secret.password}`)))}`;
}
