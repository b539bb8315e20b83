import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildRuleDefinition } from '../domain/build.ts';
import { BuildFailed } from '../domain/build-error.ts';
import type { RepositoryRef } from '../domain/chain.ts';
import type { Database } from '../db/database.ts';
import { findBuildSecretRefs } from '../db/repositories/build-secret.ts';

/** A secret of a build, opened for one attempt. */
export interface BuildSecret {
  /** What the Dockerfile calls it. */
  readonly id: string;
  readonly value: string;
}

interface SecretDeps {
  readonly db: Database;
  readonly openSecret: (ref: string) => Promise<string>;
}

/** Opens a rule's secrets (docs/product.md, section 6). @throws BuildFailed `build.secret_missing` */
export async function openBuildSecrets(
  { db, openSecret }: SecretDeps,
  { rule, repository }: { rule: Pick<BuildRuleDefinition, 'secrets'>; repository: RepositoryRef },
): Promise<readonly BuildSecret[]> {
  const names = rule.secrets.map(({ secretRef }) => secretRef);
  if (names.length === 0) return [];
  const refs = await findBuildSecretRefs(db, { namespaceId: repository.namespaceId, names });
  return Promise.all(
    rule.secrets.map(async ({ id, secretRef }) => {
      const ref = refs.get(secretRef);
      if (ref === undefined) throw secretMissing(secretRef, repository);
      return { id, value: await openSecret(ref) };
    }),
  );
}

function secretMissing(name: string, { namespace }: RepositoryRef): BuildFailed {
  return new BuildFailed({
    code: 'build.secret_missing',
    fault: 'user',
    isPermanent: true,
    params: { secret: name },
    text: `The namespace "${namespace}" has no secret "${name}", which the build rule names. Add it to the namespace, or take it out of the rule.`,
  });
}

/** Writes each secret to a file of its own that nobody else can read; the folder's owner removes them. */
export async function writeSecretFiles(
  folder: string,
  secrets: readonly BuildSecret[],
): Promise<readonly { readonly id: string; readonly file: string }[]> {
  return Promise.all(
    secrets.map(async ({ id, value }, index) => {
      const file = join(folder, `secret-${index}`);
      await writeFile(file, value, { mode: 0o600, flag: 'wx' });
      return { id, file };
    }),
  );
}
