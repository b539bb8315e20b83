import type { SourceLogins } from '../activities/drivers/source-logins.ts';
import type { Git } from '../activities/drivers/git.ts';
import type { Database, DatabaseTransaction } from '../db/database.ts';
import { getRunContext } from '../db/repositories/run-context.ts';
import type { IdentifiedBuildRule, RunContext } from '../db/repositories/run-context.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import { advanceSourceRef, lockSourceRef } from '../db/repositories/source-ref.ts';
import { buildRuleMatch } from '../domain/build.ts';
import type { Config } from '../domain/config.ts';
import { AppError, conflict } from '../domain/errors.ts';
import type { RunCause } from '../domain/record.ts';
import type { RunSource } from '../domain/source.ts';
import { askSource } from './ask-source.ts';
import type { Clock } from './deps.ts';
import { insertSourceRun } from '../db/repositories/source-run.ts';
import type { RunStarter } from './start-run.ts';

export interface StartBuildDeps {
  readonly db: Database;
  readonly sourceLogins: Pick<SourceLogins, 'git'>;
  readonly git: Pick<Git, 'refResolve'>;
  readonly starter: Pick<RunStarter, 'start'>;
  readonly config: Pick<Config, 'SLIPWAY_TIMINGS' | 'SLIPWAY_WAITING_BUILDS'>;
  readonly clock: Clock;
}

export interface BuildRequest {
  readonly repositoryId: string;
  readonly ruleId: string;
  /** Branch or tag, by the rule's type; undefined: the rule's own. */
  readonly ref: string | undefined;
  readonly cause: Extract<RunCause, 'manual' | 'api'>;
  readonly actor: string;
}

/**
 * Builds what a rule's ref is now, by hand (docs/product.md, section 6, "Build button"). The same rule, ref and commit already
 * live: that run. Errors: 409 `build_rule.disabled`, `build_rule.needs_source`; 422 `build_rule.ref_not_matched`,
 * `build_rule.ref_required`; 404 `source.ref_not_found`; 429 `build.queue_full`; 503 `source.not_reachable`.
 */
export async function startBuild(deps: StartBuildDeps, request: BuildRequest): Promise<StartableRun> {
  const before = await getRunContext(deps.db, request.repositoryId);
  const rule = ruleOf(before, request.ruleId);
  const ref = request.ref ?? ownRef(rule);
  matchOf(rule, ref);
  const commit = await resolveRef(deps, { repositoryId: request.repositoryId, rule, ref });
  const run = await deps.db.transaction().execute((trx) => insertBuildRun(trx, { deps, request, ref, commit }));
  void deps.starter.start(run);
  return run;
}

/** Rule, chain and policy are read again here: what counts is how they are when the run is inserted. */
async function insertBuildRun(
  trx: DatabaseTransaction,
  { deps, request, ref, commit }: { deps: StartBuildDeps; request: BuildRequest; ref: string; commit: string },
): Promise<StartableRun> {
  const { repositoryId, ruleId, cause, actor } = request;
  const at = deps.clock();
  const context = await getRunContext(trx, repositoryId);
  const rule = ruleOf(context, ruleId);
  const groups = matchOf(rule, ref);
  const source: RunSource = {
    ref,
    refType: rule.ref.type,
    commit,
    message: null,
    author: null,
    pushedAt: at.toISOString(),
  };
  await lockSourceRef(trx, { repositoryId, ref, refType: source.refType });
  const orderNo = await advanceSourceRef(trx, { repositoryId, ref, refType: source.refType, tip: commit });
  const { SLIPWAY_TIMINGS: timings, SLIPWAY_WAITING_BUILDS: queueLimit } = deps.config;
  const start = { context, rule, groups, source, cause, actor, orderNo, timings, at, queueLimit };
  const started = await insertSourceRun(trx, start);
  return started.run;
}

function ruleOf({ buildRules }: RunContext, ruleId: string): IdentifiedBuildRule {
  const rule = buildRules.find(({ id }) => id === ruleId);
  if (rule === undefined) {
    throw new AppError(
      404,
      'build_rule.not_found',
      `The repository has no build rule "${ruleId}". Choose one of its rules.`,
    );
  }
  if (!rule.enabled) {
    throw conflict('build_rule.disabled', 'The build rule is disabled, so it builds nothing. Enable it first.', {
      rule: ruleId,
    });
  }
  return rule;
}

function ownRef({ ref }: IdentifiedBuildRule): string {
  if (ref.match === 'exact') return ref.name;
  throw new AppError(
    422,
    'build_rule.ref_required',
    `The build rule takes every ${ref.type} that matches "${ref.name}", so it does not say which one to build. Name one in "ref".`,
  );
}

function matchOf(rule: IdentifiedBuildRule, ref: string): Readonly<Record<string, string>> {
  const groups = buildRuleMatch(rule, { ref, refType: rule.ref.type });
  if (groups !== undefined) return groups;
  throw new AppError(
    422,
    'build_rule.ref_not_matched',
    `The build rule takes the ${rule.ref.type} "${rule.ref.name}"${rule.ref.match === 'regexp' ? ' as a regular expression' : ''}, and "${ref}" does not match it. Choose another ref or another rule.`,
  );
}

async function resolveRef(
  deps: StartBuildDeps,
  { repositoryId, rule, ref }: { repositoryId: string; rule: IdentifiedBuildRule; ref: string },
): Promise<string> {
  const address = await findSourceAddress(deps.db, repositoryId);
  if (address === undefined) {
    throw conflict(
      'build_rule.needs_source',
      'The repository is bound to no code, so there is nothing to build. Bind its source first.',
    );
  }
  const fullRef = `refs/${rule.ref.type === 'tag' ? 'tags' : 'heads'}/${ref}`;
  const commit = await askSource(deps, {
    address,
    unanswered: 'nothing was started',
    question: (remote) => deps.git.refResolve(address.url, fullRef, remote),
  });
  if (commit !== undefined) return commit;
  throw new AppError(
    404,
    'source.ref_not_found',
    `The source has no ${rule.ref.type} "${ref}" now. Push it first, or choose another ref.`,
  );
}
