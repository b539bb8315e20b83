import { insertBuildRules } from '../db/repositories/build-rule.ts';
import type { RepositoryWithPlace } from '../db/repositories/repository.ts';
import type { BuildRuleRow } from '../db/tables/build.ts';
import type { BuildRuleDefinition } from '../domain/build.ts';
import { translateDockerHubRule } from '../domain/docker-hub-rule.ts';
import type { DockerHubRule, ImportedRule } from '../domain/docker-hub-rule.ts';
import { invalidRequest } from '../domain/errors.ts';
import type { FieldError } from '../domain/errors.ts';
import { requireArchitectures } from './build-workers.ts';
import type { ApiDeps } from './deps.ts';
import { requireSource } from './require-source.ts';

/** One rule of the import: as it was translated and, once stored, its row; or why it cannot be. */
export interface ImportItem {
  readonly imported: ImportedRule;
  readonly row: BuildRuleRow | null;
  readonly errors: readonly FieldError[];
}

/**
 * Translates rules of Docker Hub and stores them all, or none (docs/product.md, X-38). A dry run stores nothing and tells of every
 * rule. Throws 409 `build_rule.needs_source`, `quota.exceeded`; 422 with `build_rule.import_untranslatable` and the like, or
 * `build_rule.architecture_without_worker`.
 */
export async function importBuildRules(
  { db, clock }: Pick<ApiDeps, 'db' | 'clock'>,
  {
    repository,
    rules,
    isDryRun,
  }: { repository: RepositoryWithPlace; rules: readonly DockerHubRule[]; isDryRun: boolean },
): Promise<ImportItem[]> {
  requireSource(repository);
  const items = rules.map((rule, index) => toItem(translateDockerHubRule(rule), index));
  const errors = items.flatMap((item) => item.errors);
  if (isDryRun) return items;
  if (errors.length > 0) throw invalidRequest(errors);
  const definitions = items.flatMap(({ imported }) => definitionOf(imported));
  await requireDefaultArchitecture({ db, clock }, repository, definitions);
  const rows = await db
    .transaction()
    .execute((trx) => insertBuildRules(trx, { repositoryId: repository.id, definitions, at: clock() }));
  return items.map((item, index) => ({ ...item, row: rows[index] ?? null }));
}

/** Docker Hub's rules name no architecture, so all get the default one. */
async function requireDefaultArchitecture(
  deps: Pick<ApiDeps, 'db' | 'clock'>,
  { build_region: buildRegion, instance_region: own }: RepositoryWithPlace,
  [first]: readonly BuildRuleDefinition[],
): Promise<void> {
  if (first === undefined) return;
  const { architectures } = first;
  await requireArchitectures(deps, { region: buildRegion ?? own, architectures, pointer: '/rules/0/architectures' });
}

function toItem(imported: ImportedRule, index: number): ImportItem {
  const problems = imported.kind === 'refused' ? imported.problems : [];
  const errors = problems.map(({ field, code, message }) => ({ pointer: `/rules/${index}/${field}`, code, message }));
  return { imported, row: null, errors };
}

function definitionOf(imported: ImportedRule): BuildRuleDefinition[] {
  return imported.kind === 'rule' ? [imported.definition] : [];
}
