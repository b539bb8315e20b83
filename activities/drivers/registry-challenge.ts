import { getDomain } from 'tldts';
import { bareHost } from '../../domain/egress.ts';
import { RegistryError } from '../../domain/registry-error.ts';

/** One scheme a registry offers in `WWW-Authenticate`. Names of parameters are lower case. */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const partPattern =
  /\s*(?:([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z0-9!#$%&'*+.^_`|~-]+))\s*(?:,|(?=\s|$))/y;

/** Takes `WWW-Authenticate` apart: several challenges, commas inside quotes. What cannot be read ends the list. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  partPattern.lastIndex = 0;
  for (let part = partPattern.exec(header); part !== null; part = partPattern.exec(header)) {
    const [, name, quoted, plain, scheme] = part;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const current = challenges.at(-1);
    if (name === undefined || current === undefined) continue;
    current.parameters[name.toLowerCase()] = quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '';
  }
  return challenges;
}

export interface RealmRule {
  readonly registry: URL;
  readonly isInsecure: boolean;
  /** The origin of a token server elsewhere, as the administrator configured it. */
  readonly tokenServer?: string | undefined;
}

/**
 * The token server's address out of a challenge, if credentials may go there: https (plain http only for a registry marked
 * insecure), the registry's own host, a host of the same registrable domain, or the configured token server.
 */
export function checkedRealm(realm: string, { registry, isInsecure, tokenServer }: RealmRule): URL {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '')
    throw refusedRealm(registry, realm, 'it is not a plain URL');
  if (tokenServer !== undefined && url.origin === new URL(tokenServer).origin) return url;
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isInsecure)) {
    throw refusedRealm(registry, realm, 'it is not https');
  }
  if (!isSameSite(bareHost(url), bareHost(registry)))
    throw refusedRealm(registry, realm, 'it belongs to somebody else');
  return url;
}

function isSameSite(host: string, registryHost: string): boolean {
  if (host === registryHost) return true;
  const domain = getDomain(host, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(registryHost, { allowPrivateDomains: true });
}

function refusedRealm(registry: URL, realm: string, why: string): RegistryError {
  const shown = realm.replaceAll(/[^\x21-\x7e]+/g, ' ').slice(0, 200);
  return new RegistryError(
    `The registry ${registry.host} names ${JSON.stringify(shown)} as its token server, but ${why}; no credentials were sent. ` +
      'Configure the token server of this registry if that is its right address.',
    { issue: 'unauthorized', isPermanent: true },
  );
}
