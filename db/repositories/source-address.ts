import { cloneUrl } from '../../domain/source.ts';
import type { Database } from '../database.ts';

/** Where a repository's code is, and the secret of its login, if it has one. */
export interface SourceAddress {
  readonly url: string;
  readonly credentialRef: string | null;
}

/** The address of a repository's code, or undefined when it is bound to none. */
export async function findSourceAddress(db: Database, repositoryId: string): Promise<SourceAddress | undefined> {
  const row = await db
    .selectFrom('source_binding')
    .innerJoin('source_account', 'source_account.id', 'source_binding.source_account_id')
    .where('source_binding.repository_id', '=', repositoryId)
    .select([
      'source_account.base_url',
      'source_account.credential_ref',
      'source_binding.code_namespace',
      'source_binding.code_repository',
    ])
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    url: cloneUrl(row.base_url, { codeNamespace: row.code_namespace, codeRepository: row.code_repository }),
    credentialRef: row.credential_ref,
  };
}
