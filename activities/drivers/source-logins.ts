import { setTimeout as delay } from 'node:timers/promises';
import { gitLogin, parseSourceCredential } from '../../domain/source-credential.ts';
import type { HostSecret, OauthGrant } from '../../domain/source-credential.ts';
import { findGithubApp, findOauthApp } from '../../domain/source-apps.ts';
import type { SourceApps } from '../../domain/source-apps.ts';
import { SourceError } from '../../domain/source-error.ts';
import type { SourceHost } from '../../domain/source.ts';
import type { GitCredential } from './git.ts';
import type { GithubApps, InstallationToken } from './github-app.ts';
import { HostError } from '../../domain/source-host-error.ts';
import type { SourceOauth } from './source-oauth.ts';

/** Whose login is wanted. */
export interface LoginPlace {
  readonly accountId: string;
  readonly host: SourceHost;
  readonly baseUrl: string;
  readonly caCertificate: string | null;
  /** null: the account has no credential. */
  readonly credentialRef: string | null;
}

/** Logins of source accounts, fit to be used now: expired grants are renewed, installation tokens fetched. */
export interface SourceLogins {
  /** null: the account has no credential. @throws SourceError `source.credential_refused`, `source.not_reachable` */
  secret(place: LoginPlace, call: { readonly signal: AbortSignal }): Promise<HostSecret | null>;
  /** The same as git sends it. @throws SourceError as `secret` */
  git(place: LoginPlace, call: { readonly signal: AbortSignal }): Promise<GitCredential | null>;
}

export interface SourceLoginsOptions {
  readonly apps: SourceApps;
  readonly oauth: Pick<SourceOauth, 'grantRefresh'>;
  readonly github: Pick<GithubApps, 'installationToken'>;
  /** The sealed text behind a reference, as it is now. */
  readonly openSecret: (ref: string) => Promise<string>;
  readonly grants: GrantStore;
  readonly clock: () => Date;
}

/** Where renewed grants are kept. Hosts that rotate refresh tokens take each one once, so one process alone may renew. */
export interface GrantStore {
  /** True: the caller renews, until it lets go or half a minute has passed. */
  claim(accountId: string): Promise<boolean>;
  /** Seals a renewed grant in place of the old one, and lets go. */
  store(place: { accountId: string; credentialRef: string }, grant: OauthGrant): Promise<void>;
  release(accountId: string): Promise<void>;
}

/** Renewed so long before its end that a clone begun with it can be finished. */
const renewBeforeMs = 5 * 60_000;
const renewalPollMs = 200;
const renewalWaitMs = 20_000;

export function createSourceLogins(options: SourceLoginsOptions): SourceLogins {
  const tokens = new Map<string, InstallationToken>();

  async function secret(place: LoginPlace, { signal }: { signal: AbortSignal }): Promise<HostSecret | null> {
    const { credentialRef } = place;
    if (credentialRef === null) return null;
    const credential = parseSourceCredential(await options.openSecret(credentialRef));
    switch (credential.kind) {
      case 'login':
      case 'token':
        return credential;
      case 'oauth':
        return { kind: 'token', token: await freshToken({ ...place, credentialRef }, credential, signal) };
      case 'installation':
        return { kind: 'token', token: await installationToken(place, credential.installationId, signal) };
    }
  }

  async function freshToken(
    place: LoginPlace & { credentialRef: string },
    grant: OauthGrant,
    signal: AbortSignal,
  ): Promise<string> {
    const deadline = performance.now() + renewalWaitMs;
    let current = grant;
    while (!isFresh(current.expiresAt, options.clock())) {
      if (await options.grants.claim(place.accountId)) return (await renew(place, signal)).accessToken;
      if (performance.now() > deadline) throw renewalLate();
      await delay(renewalPollMs, undefined, { signal });
      current = oauthGrant(await options.openSecret(place.credentialRef));
    }
    return current.accessToken;
  }

  /** The one who claimed looks once more: somebody may have renewed just before. */
  async function renew(place: LoginPlace & { credentialRef: string }, signal: AbortSignal): Promise<OauthGrant> {
    try {
      const grant = oauthGrant(await options.openSecret(place.credentialRef));
      if (isFresh(grant.expiresAt, options.clock())) return grant;
      const app = findOauthApp(options.apps, place);
      if (app === undefined || grant.refreshToken === null) throw mustReconnect(place);
      const renewed = await options.oauth.grantRefresh({ app, grant, caCertificate: place.caCertificate, signal });
      await options.grants.store(place, renewed);
      return renewed;
    } catch (error) {
      throw sourceErrorOf(error);
    } finally {
      await options.grants.release(place.accountId);
    }
  }

  async function installationToken(place: LoginPlace, installationId: string, signal: AbortSignal): Promise<string> {
    const key = `${place.baseUrl} ${installationId}`;
    const known = tokens.get(key);
    if (known !== undefined && isFresh(known.expiresAt, options.clock())) return known.token;
    const app = findGithubApp(options.apps, place);
    if (app === undefined) throw mustReconnect(place);
    try {
      const { caCertificate } = place;
      const token = await options.github.installationToken({ app, installationId, caCertificate, signal });
      tokens.set(key, token);
      return token.token;
    } catch (error) {
      tokens.delete(key);
      throw sourceErrorOf(error);
    }
  }

  return {
    secret,
    async git(place, call) {
      const found = await secret(place, call);
      return found === null ? null : gitLogin(place.host, found);
    },
  };
}

function oauthGrant(sealed: string): OauthGrant {
  const credential = parseSourceCredential(sealed);
  if (credential.kind === 'oauth') return credential;
  throw new SourceError(
    'source.not_reachable',
    'The credential of the source account was changed meanwhile. Try again.',
  );
}

function isFresh(expiresAt: string | null, now: Date): boolean {
  return expiresAt === null || Date.parse(expiresAt) - now.getTime() > renewBeforeMs;
}

/** A host's refusal to renew means that the person must connect it again; silence means another attempt. */
function sourceErrorOf(error: unknown): unknown {
  if (!(error instanceof HostError)) return error;
  const code = error.isPermanent ? 'source.credential_refused' : 'source.not_reachable';
  return new SourceError(error.kind === 'blocked' ? 'source.address_refused' : code, error.message, { cause: error });
}

function mustReconnect({ baseUrl }: LoginPlace): SourceError {
  return new SourceError(
    'source.credential_refused',
    `The connection to ${new URL(baseUrl).host} has ended and cannot be renewed here. Connect the source account again.`,
  );
}

function renewalLate(): SourceError {
  return new SourceError(
    'source.not_reachable',
    'The connection to the source host is being renewed and that takes long. Try again in a moment.',
  );
}
