import type { Database } from '../database.ts';

/** What the source host last said of HEAD, and when; undefined: it was never asked, or the repository has no code. */
export async function findKnownDefaultBranch(
  db: Database,
  repositoryId: string,
): Promise<{ readonly branch: string | null; readonly at: Date } | undefined> {
  const row = await db
    .selectFrom('source_binding')
    .select(['default_branch', 'default_branch_at'])
    .where('repository_id', '=', repositoryId)
    .executeTakeFirst();
  if (row === undefined || row.default_branch_at === null) return undefined;
  return { branch: row.default_branch, at: row.default_branch_at };
}

/** Keeps what the source host said of HEAD. */
export async function noteDefaultBranch(
  db: Database,
  { repositoryId, branch, at }: { repositoryId: string; branch: string | null; at: Date },
): Promise<void> {
  await db
    .updateTable('source_binding')
    .set({ default_branch: branch, default_branch_at: at })
    .where('repository_id', '=', repositoryId)
    .execute();
}
