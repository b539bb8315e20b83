import type { RepositoryWithPlace } from '../db/repositories/repository.ts';
import { conflict } from '../domain/errors.ts';

/** Throws 409 `build_rule.needs_source` for a local repository (docs/product.md, section 5). */
export function requireSource({ source_account_id: account, namespace, name }: RepositoryWithPlace): void {
  if (account !== null) return;
  throw conflict(
    'build_rule.needs_source',
    `"${namespace}/${name}" is a local repository: it is pushed to and never built, so it takes no build rule. Bind a source first.`,
  );
}
