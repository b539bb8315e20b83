import { cloneUrl } from '../../domain/source.ts';
import type { SourceHost } from '../../domain/source.ts';
import type { Database } from '../database.ts';
import type { SourceAccountRow } from '../tables/source.ts';

/** What is needed to speak to a source host: its address, its authority, and the secret of the credential for it. */
export interface SourceAccess {
  readonly accountId: string;
  readonly host: SourceHost;
  readonly baseUrl: string;
  /** PEM; null trusts the public authorities. */
  readonly caCertificate: string | null;
  readonly credentialRef: string | null;
}

/** Where a repository's code is, and how its host is spoken to. */
export interface SourceAddress extends SourceAccess {
  /** What git clones. */
  readonly url: string;
  readonly codeNamespace: string;
  readonly codeRepository: string;
}

/** How a source account's host is spoken to. */
export function accessOf(account: SourceAccountRow): SourceAccess {
  return {
    accountId: account.id,
    host: account.host,
    baseUrl: account.base_url,
    caCertificate: account.ca_certificate,
    credentialRef: account.credential_ref,
  };
}

/** The address of a repository's code, or undefined when it is bound to none. */
export async function findSourceAddress(db: Database, repositoryId: string): Promise<SourceAddress | undefined> {
  const row = await db
    .selectFrom('source_binding')
    .innerJoin('source_account', 'source_account.id', 'source_binding.source_account_id')
    .where('source_binding.repository_id', '=', repositoryId)
    .selectAll('source_account')
    .select(['source_binding.code_namespace', 'source_binding.code_repository'])
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const access = accessOf(row);
  const code = { codeNamespace: row.code_namespace, codeRepository: row.code_repository };
  return { ...access, ...code, url: cloneUrl(access, code) };
}
