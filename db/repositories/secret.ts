import type { SecretBox } from '../../activities/drivers/secret-box.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { newId } from '../new-id.ts';
import type { SecretRow } from '../tables/secret.ts';

/**
 * What a secret is for. Signing secrets (`hook`, `trigger`) are kept as the whole text their owner was shown, `whsec_<base64>`;
 * logins (`source`, `instance`) as JSON `{username, password}`; build secrets (`build`) as their users wrote them.
 */
export type SecretKind = 'hook' | 'trigger' | 'source' | 'instance' | 'build';

type Box = Pick<SecretBox, 'seal' | 'open'>;

/** Seals a value and stores it; answers the reference other tables keep. `ownerId` is the namespace's or instance's id. */
export async function insertSecret(
  db: Database,
  secretBox: Box,
  { ownerId, kind, value }: { ownerId: string; kind: SecretKind; value: string },
): Promise<string> {
  const id = newId('sec');
  const { keyId, ciphertext } = secretBox.seal(value, { ownerId, id, kind, version: 1 });
  await db
    .insertInto('secret')
    .values({ id, owner_id: ownerId, kind, version: 1, key_id: keyId, ciphertext })
    .execute();
  return id;
}

/** Seals a new value in place of the old one; whoever keeps the reference reads it from now on. */
export async function replaceSecret(
  db: Database,
  secretBox: Box,
  { ref, value }: { ref: string; value: string },
): Promise<void> {
  const row = await db.selectFrom('secret').selectAll().where('id', '=', ref).executeTakeFirst();
  if (row === undefined) return;
  const binding = { ...bindingOf(row), version: row.version + 1 };
  const { keyId, ciphertext } = secretBox.seal(value, binding);
  await db
    .updateTable('secret')
    .set({ version: binding.version, key_id: keyId, ciphertext })
    .where('id', '=', ref)
    .where('version', '=', row.version)
    .execute();
}

/** The value behind a reference. Throws when it is gone or does not open. */
export async function openSecret(db: Database, secretBox: Pick<SecretBox, 'open'>, ref: string): Promise<string> {
  const row = await db.selectFrom('secret').selectAll().where('id', '=', ref).executeTakeFirst();
  if (row === undefined) throw new Error(`The secret ${ref} does not exist any more.`);
  return openSecretRow(secretBox, row);
}

/** The value of a sealed row that was already read. */
export function openSecretRow(secretBox: Pick<SecretBox, 'open'>, row: SecretRow): string {
  return secretBox.open({ keyId: row.key_id, ciphertext: row.ciphertext }, bindingOf(row));
}

/** Deletes secrets nothing refers to any more. */
export async function deleteSecrets(db: Database | DatabaseTransaction, refs: readonly string[]): Promise<void> {
  if (refs.length === 0) return;
  await db.deleteFrom('secret').where('id', 'in', refs).execute();
}

/** References to everything sealed for an owner. */
export async function listOwnedSecrets(db: Database, ownerId: string): Promise<string[]> {
  const rows = await db.selectFrom('secret').select('id').where('owner_id', '=', ownerId).execute();
  return rows.map(({ id }) => id);
}

/** References to what a repository's source binding and triggers sealed. */
export async function listRepositorySecrets(db: Database, repositoryId: string): Promise<string[]> {
  const hooks = await db
    .selectFrom('source_binding')
    .select(['hook_secret_ref as current', 'previous_hook_secret_ref as previous'])
    .where('repository_id', '=', repositoryId)
    .execute();
  const triggers = await db
    .selectFrom('trigger')
    .select(['secret_ref as current', 'previous_secret_ref as previous'])
    .where('repository_id', '=', repositoryId)
    .execute();
  return [...hooks, ...triggers].flatMap(({ current, previous }) =>
    previous === null ? [current] : [current, previous],
  );
}

function bindingOf(row: SecretRow) {
  return { ownerId: row.owner_id, id: row.id, kind: row.kind, version: row.version };
}
