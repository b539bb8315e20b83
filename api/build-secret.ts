import type { DatabaseTransaction } from '../db/database.ts';
import {
  deleteBuildSecret,
  insertBuildSecret,
  listBuildSecretUsers,
  lockBuildSecret,
  lockBuildSecretNames,
  touchBuildSecret,
} from '../db/repositories/build-secret.ts';
import { deleteSecrets, insertSecret, replaceSecret } from '../db/repositories/secret.ts';
import type { BuildSecretRow } from '../db/tables/build-secret.ts';
import type { BuildRuleDefinition } from '../domain/build.ts';
import { conflict, invalidRequest } from '../domain/errors.ts';
import type { ApiDeps } from './deps.ts';

type SecretDeps = Pick<ApiDeps, 'db' | 'clock' | 'secretBox'>;

/** Seals a secret of a namespace. Throws 409 `secret.exists`, `quota.exceeded`. */
export async function createBuildSecret(
  { db, clock, secretBox }: SecretDeps,
  { namespaceId, name, value }: { namespaceId: string; name: string; value: string },
): Promise<BuildSecretRow> {
  return db.transaction().execute(async (trx) => {
    const secretRef = await insertSecret(trx, secretBox, { ownerId: namespaceId, kind: 'build', value });
    return insertBuildSecret(trx, { namespaceId, name, secretRef, at: clock() });
  });
}

/** Builds that open it from now on get the new value. Throws 404 `secret.not_found`. */
export async function replaceBuildSecret(
  { db, clock, secretBox }: SecretDeps,
  { id, value }: { id: string; value: string },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const secret = await lockBuildSecret(trx, id);
    await replaceSecret(trx, secretBox, { ref: secret.secret_ref, value });
    await touchBuildSecret(trx, id, clock());
  });
}

/** Throws 404 `secret.not_found`, 409 `secret.in_use` while a build rule of the namespace names it. */
export async function removeBuildSecret({ db }: Pick<ApiDeps, 'db'>, id: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const secret = await lockBuildSecret(trx, id);
    const users = await listBuildSecretUsers(trx, secret);
    if (users.length > 0)
      throw conflict(
        'secret.in_use',
        `The secret "${secret.name}" is named by build rules of ${users.map((user) => `"${user}"`).join(', ')}. Take it out of them first.`,
        { repositories: users },
      );
    await deleteBuildSecret(trx, id);
    await deleteSecrets(trx, [secret.secret_ref]);
  });
}

/**
 * Throws 422 `build_rule.secrets_invalid` when a rule names a secret its namespace does not have; those it has stay until the
 * transaction ends. `pointers` says where each definition stands in the body.
 */
export async function requireBuildSecrets(
  trx: DatabaseTransaction,
  {
    repositoryId,
    definitions,
    pointers,
  }: {
    repositoryId: string;
    definitions: readonly Pick<BuildRuleDefinition, 'secrets'>[];
    pointers: (index: number) => string;
  },
): Promise<void> {
  const names = definitions.flatMap(({ secrets }) => secrets.map(({ secretRef }) => secretRef));
  const known = await lockBuildSecretNames(trx, { repositoryId, names });
  const errors = definitions.flatMap(({ secrets }, rule) =>
    secrets.flatMap(({ secretRef }, index) =>
      known.has(secretRef) ? [] : [unknownSecret(secretRef, { rule, index })],
    ),
  );
  if (errors.length > 0) throw invalidRequest(errors);

  function unknownSecret(name: string, { rule, index }: { rule: number; index: number }) {
    return {
      pointer: `${pointers(rule)}/secrets/${index}/secretRef`,
      code: 'build_rule.secrets_invalid',
      message: `The namespace has no secret "${name}". Add it under the namespace's secrets first, or choose another.`,
    };
  }
}
