import { X509Certificate } from 'node:crypto';
import type { Database } from '../db/database.ts';
import { insertSecret } from '../db/repositories/secret.ts';
import { invalidRequest } from '../domain/errors.ts';
import { baseUrlOf } from '../domain/source.ts';
import type { CredentialKind, SourceCredential } from '../domain/source-credential.ts';
import type { SourceHost } from '../domain/source.ts';
import type { ApiDeps } from './deps.ts';
import { checkUrl } from './egress-check.ts';

/** Where a source host is. */
export interface HostPlace {
  readonly host: SourceHost;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly caCertificate: string | null;
}

/** The place a body names. Throws 422 with `url.forbidden` or `source.ca_certificate_invalid`. */
export async function checkPlace(
  deps: Pick<ApiDeps, 'egressPolicy' | 'resolveHost'>,
  { host, baseUrl, caCertificate }: { host: SourceHost; baseUrl?: string | undefined; caCertificate: string | null },
): Promise<HostPlace> {
  const url = baseUrlOf({ host, baseUrl });
  await checkUrl(deps, { url, pointer: '/baseUrl' });
  if (caCertificate !== null) checkCertificates(caCertificate);
  return { host, baseUrl: url, caCertificate };
}

function checkCertificates(pem: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch {
    const message = 'It does not hold certificates in PEM form. Paste the authority’s certificate as its file has it.';
    throw invalidRequest([{ pointer: '/caCertificate', code: 'source.ca_certificate_invalid', message }]);
  }
}

/** Seals a credential; the columns of the account that say so. */
export async function sealCredential(
  trx: Database,
  { secretBox }: Pick<ApiDeps, 'secretBox'>,
  { instanceId, credential }: { instanceId: string; credential: SourceCredential | null },
): Promise<{ credential_ref: string | null; credential_kind: CredentialKind | null }> {
  if (credential === null) return { credential_ref: null, credential_kind: null };
  const value = JSON.stringify(credential);
  const ref = await insertSecret(trx, secretBox, { ownerId: instanceId, kind: 'source', value });
  return { credential_ref: ref, credential_kind: credential.kind };
}
