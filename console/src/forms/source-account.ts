import type { SourceHost } from '../../../domain/source.ts';
import type { SourceAccount, SourceAuthorization } from '../api-source.ts';

/** How an account gets its credential; an authorization leads away to the host's own page. */
export type CredentialWay =
  | { readonly kind: 'keep' | 'token' | 'login' | 'none' }
  | { readonly kind: 'browser'; readonly authorization: SourceAuthorization };

/** A source account as its form holds it: texts as they are typed. */
export interface SourceAccountDraft {
  readonly host: SourceHost;
  readonly name: string;
  readonly baseUrl: string;
  readonly caCertificate: string;
  readonly way: CredentialWay;
  readonly token: string;
  readonly username: string;
  readonly password: string;
}

/** What the form asks of a kind of host. */
interface HostForm {
  /** null: the address is always entered. */
  readonly publicUrl: string | null;
  /** The ways to enter a credential, the usual one first. */
  readonly ways: readonly ('token' | 'login' | 'none')[];
}

/** Every kind of host, in the order the form offers them. */
export const hostForms: Readonly<Record<SourceHost, HostForm>> = {
  github: { publicUrl: 'https://github.com', ways: ['token', 'none'] },
  gitlab: { publicUrl: 'https://gitlab.com', ways: ['token', 'none'] },
  gitee: { publicUrl: 'https://gitee.com', ways: ['token', 'none'] },
  bitbucket: { publicUrl: 'https://bitbucket.org', ways: ['token', 'login', 'none'] },
  bitbucket_data_center: { publicUrl: null, ways: ['token', 'login', 'none'] },
  gitea: { publicUrl: null, ways: ['token', 'login', 'none'] },
  git: { publicUrl: null, ways: ['login', 'token', 'none'] },
};

export function newSourceAccount(host: SourceHost, authorizations: readonly SourceAuthorization[]): SourceAccountDraft {
  const [way = { kind: 'token' }] = waysOf({ host, account: null, authorizations });
  return { host, name: '', baseUrl: '', caCertificate: '', way, token: '', username: '', password: '' };
}

export function draftOfAccount(account: SourceAccount): SourceAccountDraft {
  return {
    host: account.host,
    name: account.name ?? '',
    baseUrl: account.baseUrl,
    caCertificate: account.caCertificate ?? '',
    way: { kind: account.hasCredential ? 'keep' : 'none' },
    token: '',
    username: '',
    password: '',
  };
}

/** The ways this host takes: consent in the browser where an application is registered, else by typing. */
export function waysOf({
  host,
  account,
  authorizations,
}: {
  host: SourceHost;
  /** The account that is changed: its credential can stay, and only its own host is asked for another. */
  account: SourceAccount | null;
  authorizations: readonly SourceAuthorization[];
}): readonly CredentialWay[] {
  const inBrowser = authorizations.filter(
    (each) => each.host === host && (account === null || each.baseUrl === account.baseUrl),
  );
  return [
    ...(account?.hasCredential === true ? [{ kind: 'keep' } as const] : []),
    ...inBrowser.map((authorization) => ({ kind: 'browser', authorization }) as const),
    ...hostForms[host].ways.map((kind) => ({ kind })),
  ];
}

/** A way as the value of a choice. */
export function wayKey(way: CredentialWay): string {
  return way.kind === 'browser' ? `${way.authorization.flow} ${way.authorization.baseUrl}` : way.kind;
}

/** What is sent: a credential that is kept is left out, and the API judges the rest. */
export function definitionOfAccount(draft: SourceAccountDraft): unknown {
  const baseUrl = draft.baseUrl.trim();
  return {
    host: draft.host,
    name: draft.name.trim() || null,
    ...(baseUrl === '' ? {} : { baseUrl }),
    caCertificate: draft.caCertificate.trim() || null,
    ...credentialOf(draft),
  };
}

function credentialOf({ way, token, username, password }: SourceAccountDraft): { credential?: unknown } {
  switch (way.kind) {
    case 'token':
      return { credential: { token: token.trim() } };
    case 'login':
      return { credential: { username: username.trim(), password } };
    case 'none':
      return { credential: null };
    case 'keep':
    case 'browser':
      return {};
  }
}

/** What people know an account by: its name, else the host of its address. */
export function accountName({ name, baseUrl }: Pick<SourceAccount, 'name' | 'baseUrl'>): string {
  return name ?? new URL(baseUrl).host;
}
