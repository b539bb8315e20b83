import { setImmediate } from 'node:timers/promises';
import { getRepository } from '../db/repositories/repository.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import { buildRuleMatcher } from '../domain/build.ts';
import type { BuildRuleDefinition } from '../domain/build.ts';
import { previewRefs, takenRefs } from '../domain/build-preview.ts';
import type { PreviewedRef, PreviewRef, TakenRef } from '../domain/build-preview.ts';
import { conflict } from '../domain/errors.ts';
import { askSource } from './ask-source.ts';
import type { ApiDeps } from './deps.ts';

/** Stands for the commit where none is known; shown as an example. */
export const exampleCommit = '0123456789abcdef0123456789abcdef01234567';

const refsPerTurn = 500;

/** What to try a rule on: the refs of a repository's source, one ref, or the rule's own. */
export interface PreviewRequest {
  readonly rule: BuildRuleDefinition;
  readonly repository?: string | undefined;
  readonly ref?: string | undefined;
  readonly commit?: string | undefined;
  readonly pushedAt?: string | undefined;
}

export interface Preview {
  /** How many refs were looked at, and how many of them the rule takes. */
  readonly examined: number;
  readonly matched: number;
  readonly pushedAt: string;
  readonly refs: readonly PreviewedRef[];
}

/**
 * Says what a rule would build before it is saved (docs/product.md, X-05). Stores nothing. Errors: 404 `repository.not_found`;
 * 409 `build_rule.needs_source` or the source's own; 503 `source.not_reachable`.
 */
export async function previewRule(
  deps: Pick<ApiDeps, 'db' | 'clock' | 'git' | 'sourceLogins'>,
  { rule, repository, ref, commit, pushedAt = deps.clock().toISOString() }: PreviewRequest,
): Promise<Preview> {
  const known = repository === undefined ? [] : await readRefs(deps, repository);
  const candidates = ref === undefined ? ofRule(known, { rule, repository }) : [named(known, { rule, ref })];
  const refs = commit === undefined ? candidates : candidates.map((each) => ({ ...each, commit }));
  const taken = await takenInTurns(rule, refs);
  return { examined: refs.length, matched: taken.length, pushedAt, refs: previewRefs(rule, { taken, pushedAt }) };
}

/** A costly expression on tens of thousands of refs takes a second: other requests get their turn in between. */
async function takenInTurns(rule: BuildRuleDefinition, refs: readonly PreviewRef[]): Promise<TakenRef[]> {
  const match = buildRuleMatcher(rule);
  const taken: TakenRef[] = [];
  for (let first = 0; first < refs.length; first += refsPerTurn) {
    taken.push(...takenRefs(match, refs.slice(first, first + refsPerTurn)));
    await setImmediate();
  }
  return taken;
}

async function readRefs(
  deps: Pick<ApiDeps, 'db' | 'git' | 'sourceLogins'>,
  repositoryId: string,
): Promise<readonly PreviewRef[]> {
  const { id, namespace, name } = await getRepository(deps.db, repositoryId);
  const address = await findSourceAddress(deps.db, id);
  if (address === undefined)
    throw conflict(
      'build_rule.needs_source',
      `"${namespace}/${name}" is bound to no code, so there are no branches or tags to try the rule on. Bind its source first, or leave "repository" out and name a "ref".`,
    );
  return askSource(deps, {
    address,
    unanswered: 'its branches and tags are not known',
    question: (remote) => deps.git.refsList(address.url, remote),
  });
}

/** The refs of the rule's own type; without a repository an exact rule is tried on the ref it names. */
function ofRule(
  known: readonly PreviewRef[],
  { rule, repository }: Pick<PreviewRequest, 'rule' | 'repository'>,
): readonly PreviewRef[] {
  if (repository === undefined) return rule.ref.match === 'exact' ? [named(known, { rule, ref: rule.ref.name })] : [];
  return known.filter(({ refType }) => refType === rule.ref.type);
}

function named(known: readonly PreviewRef[], { rule, ref }: { rule: BuildRuleDefinition; ref: string }): PreviewRef {
  const { type: refType } = rule.ref;
  const found = known.find((each) => each.ref === ref && each.refType === refType);
  return found ?? { ref, refType, commit: exampleCommit };
}
