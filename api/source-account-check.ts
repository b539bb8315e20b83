import type { SourceAccess } from '../db/repositories/source-address.ts';
import type { CredentialState } from '../domain/source.ts';
import { SourceError } from '../domain/source-error.ts';
import { HostError } from '../domain/source-host-error.ts';
import type { HostErrorKind } from '../domain/source-host-error.ts';
import type { ApiDeps } from './deps.ts';

const checkMs = 10_000;

interface Checked {
  readonly state: CredentialState;
  readonly detail: string;
  readonly latencyMs: number;
}

/** Asks an account's host whether it takes the credential now; an expired grant is renewed on the way (docs/product.md, section 5). */
export async function checkAccount(
  deps: Pick<ApiDeps, 'sourceHosts' | 'sourceLogins'>,
  access: SourceAccess,
): Promise<Checked> {
  const begun = performance.now();
  const answer = await askHost(deps, access);
  return { ...answer, latencyMs: Math.round(performance.now() - begun) };
}

async function askHost(
  { sourceHosts, sourceLogins }: Pick<ApiDeps, 'sourceHosts' | 'sourceLogins'>,
  access: SourceAccess,
): Promise<Omit<Checked, 'latencyMs'>> {
  const signal = AbortSignal.timeout(checkMs);
  try {
    const secret = await sourceLogins.secret(access, { signal });
    if (secret === null) return untested('No credential is stored, so only public code can be read.');
    const client = sourceHosts.client({ ...access, secret });
    if (client === null)
      return untested('A plain git server cannot be asked; the credential is tried when a repository is bound.');
    await client.credentialCheck({ signal });
    return { state: 'accepted', detail: 'The host took the credential.' };
  } catch (error) {
    if (error instanceof SourceError)
      return { state: error.isPermanent ? 'refused' : 'unreachable', detail: error.message };
    if (error instanceof HostError) return { state: stateOfKind[error.kind], detail: error.message };
    throw error;
  }
}

/** Who may not read even his own account may still clone: that is no refusal of the credential. */
const stateOfKind: Readonly<Record<HostErrorKind, CredentialState>> = {
  refused: 'refused',
  forbidden: 'untested',
  missing: 'untested',
  invalid: 'untested',
  blocked: 'unreachable',
  limited: 'unreachable',
  unreachable: 'unreachable',
};

function untested(detail: string): Omit<Checked, 'latencyMs'> {
  return { state: 'untested', detail };
}
