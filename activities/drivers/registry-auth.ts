import { z } from 'zod';
import { checkedRealm, parseChallenges, type RealmRule } from './registry-challenge.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { abortable } from './registry-retry.ts';

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

/** What a request needs to be allowed: actions on one repository, or on the list of repositories. */
export interface RegistryAccess {
  readonly type: 'repository' | 'registry';
  readonly name: string;
  readonly actions: readonly string[];
}

export function repositoryAccess(name: string, actions: readonly string[]): readonly RegistryAccess[] {
  return [{ type: 'repository', name, actions }];
}

export interface TokenAnswer {
  readonly status: number;
  readonly bytes: Uint8Array;
}

export interface RegistryAuthOptions extends RealmRule {
  readonly credentials?: RegistryCredentials | undefined;
  /** A bounded GET outside the registry's own paths; throws a RegistryError when it fails. */
  readonly fetchToken: (url: URL, headers: Record<string, string>) => Promise<TokenAnswer>;
}

/** Keeps the tokens of one registry under one credential. */
export interface RegistryAuth {
  /** The `Authorization` to send, or undefined while the registry has not asked for any. */
  authorization(access: readonly RegistryAccess[], signal: AbortSignal): Promise<string | undefined>;
  /** Learns from a 401. False when asking again would send the same thing: the credentials do not do. */
  learn(challenge: string, refused: string | undefined): boolean;
}

type Scheme =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: URL; readonly service: string };

/** A token asked for, and from `expiresAt` on also held. */
interface Token {
  readonly access: readonly RegistryAccess[];
  readonly value: Promise<string>;
  authorization?: string;
  expiresAt?: number;
}

/** A token is renewed this long before it ends, so that it does not end on the way. */
const renewEarlyMs = 5_000;
const defaultLifeSeconds = 60;

const tokenSchema = z
  .looseObject({ token: z.string().optional(), access_token: z.string().optional(), expires_in: z.number().optional() })
  .transform((body) => ({
    token: body.token ?? body.access_token ?? '',
    seconds: Math.max(body.expires_in ?? 0, defaultLifeSeconds),
  }))
  .refine((body) => /^[\x21-\x7e]+$/.test(body.token));

export function createRegistryAuth(options: RegistryAuthOptions): RegistryAuth {
  const { credentials, registry } = options;
  let scheme: Scheme = { kind: 'none' };
  let tokens: readonly Token[] = [];

  function forget(gone: (token: Token) => boolean): void {
    tokens = tokens.filter((token) => !gone(token));
  }

  /** Equal needs share one request, so it has its own time limit and not the caller's signal. */
  function tokenFor(access: readonly RegistryAccess[], url: URL): Token {
    const token: Token = {
      access,
      value: requestToken(options, url).then(
        ({ authorization, expiresAt }) => {
          Object.assign(token, { authorization, expiresAt });
          return authorization;
        },
        (error: unknown) => {
          forget((other) => other === token);
          throw error;
        },
      ),
    };
    tokens = [...tokens, token];
    return token;
  }

  return {
    async authorization(access, signal) {
      if (scheme.kind === 'none') return undefined;
      if (scheme.kind === 'basic') return credentials === undefined ? undefined : basic(credentials);
      forget((token) => token.expiresAt !== undefined && token.expiresAt - renewEarlyMs <= Date.now());
      const held = tokens.find((token) => covers(token.access, access));
      return abortable((held ?? tokenFor(access, tokenUrl(scheme.realm, scheme.service, access))).value, signal);
    },
    learn(challenge, refused) {
      const offered = parseChallenges(challenge);
      const bearer = offered.find((each) => each.scheme === 'bearer')?.parameters;
      if (bearer?.['realm'] !== undefined) {
        scheme = {
          kind: 'bearer',
          realm: checkedRealm(bearer['realm'], options),
          service: bearer['service'] ?? registry.host,
        };
        forget((token) => token.authorization !== undefined && token.authorization === refused);
        return true;
      }
      if (!offered.some((each) => each.scheme === 'basic') || credentials === undefined) return false;
      scheme = { kind: 'basic' };
      return refused !== basic(credentials);
    },
  };
}

function tokenUrl(realm: URL, service: string, access: readonly RegistryAccess[]): URL {
  const url = new URL(realm);
  url.searchParams.set('service', service);
  for (const { type, name, actions } of access)
    url.searchParams.append('scope', `${type}:${name}:${actions.join(',')}`);
  return url;
}

async function requestToken(
  { credentials, fetchToken }: RegistryAuthOptions,
  url: URL,
): Promise<{ authorization: string; expiresAt: number }> {
  const askedAt = Date.now();
  const { status, bytes } = await fetchToken(
    url,
    credentials === undefined ? {} : { authorization: basic(credentials) },
  );
  const read = tokenSchema.safeParse(status === 200 ? parsedJson(bytes) : undefined);
  if (read.success)
    return { authorization: `Bearer ${read.data.token}`, expiresAt: askedAt + read.data.seconds * 1_000 };
  throw new RegistryError(
    `The token server ${url.host} gave no token (${status}). Check the user name and password of this registry.`,
    {
      issue: 'unauthorized',
      isPermanent: true,
      status,
    },
  );
}

function parsedJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}

function basic({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Whether a token that was asked for `have` does for `need`. */
function covers(have: readonly RegistryAccess[], need: readonly RegistryAccess[]): boolean {
  return need.every((wanted) =>
    have.some(
      (one) =>
        one.type === wanted.type &&
        one.name === wanted.name &&
        wanted.actions.every((action) => one.actions.includes(action)),
    ),
  );
}
