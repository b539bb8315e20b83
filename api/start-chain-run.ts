import type { Database } from '../db/database.ts';
import { getChain } from '../db/repositories/chain.ts';
import type { ChainWithInstance } from '../db/repositories/chain.ts';
import { findRepository } from '../db/repositories/repository.ts';
import { getRunContext } from '../db/repositories/run-context.ts';
import type { CoveringChain, IdentifiedBuildRule, RunContext } from '../db/repositories/run-context.ts';
import { chainSnapshot, insertRun } from '../db/repositories/run-start.ts';
import type { StartableRun } from '../db/repositories/run-start.ts';
import { drawOrderNo } from '../db/repositories/source-ref.ts';
import { buildRuleMatch } from '../domain/build.ts';
import type { RepositoryRef } from '../domain/chain.ts';
import { AppError, conflict, notFound } from '../domain/errors.ts';
import { workflowIds } from '../domain/run-id.ts';
import type { ApiDeps } from './deps.ts';
import { startBuild } from './start-build.ts';
import type { StartBuildDeps } from './start-build.ts';

/** A request may wait this long for the registry to say what a tag is. */
const resolveMs = 10_000;

export interface StartChainRunDeps extends StartBuildDeps {
  readonly registries: ApiDeps['registries'];
}

export interface ChainRunRequest {
  readonly chainId: string;
  /** An id, or `namespace/name` in the chain's instance. */
  readonly repository: string;
  readonly rule?: string | undefined;
  readonly ref?: string | undefined;
  /** Starts from an image that exists, at the push step. */
  readonly tag?: string | undefined;
  readonly cause: 'manual' | 'api';
  readonly actor: string;
}

/**
 * Starts a chain by hand, from a ref or from an existing tag (docs/product.md, section 8, "Starts"). Errors beside those of
 * `startBuild`: 409 `chain.disabled`, `chain.repository_not_covered`, `chain.build_off`; 422 `build_rule.ambiguous`;
 * 404 `tag.not_found`; 503 `registry.not_reachable`.
 */
export async function startChainRun(deps: StartChainRunDeps, request: ChainRunRequest): Promise<StartableRun> {
  const chain = await getChain(deps.db, request.chainId);
  const repositoryId = await repositoryIdOf(deps.db, chain, request.repository);
  const context = await getRunContext(deps.db, repositoryId);
  const covering = coveringOf(context, chain);
  if (request.tag !== undefined) return startFromTag(deps, { request, repositoryId, chain, tag: request.tag });
  if (covering.definition.nodes.build === undefined) {
    throw conflict(
      'chain.build_off',
      `The build node of the chain "${chain.name}" is off, so it builds nothing. Start it with the tag of an image, or switch the node on.`,
    );
  }
  const { cause, actor, ref } = request;
  const ruleId = request.rule ?? onlyRule(context, ref).id;
  return startBuild(deps, { repositoryId, ruleId, ref, cause, actor });
}

async function repositoryIdOf(db: Database, chain: ChainWithInstance, idOrPath: string): Promise<string> {
  const [namespace = '', ...name] = idOrPath.split('/');
  if (name.length === 0) return idOrPath;
  const place = { instanceId: chain.instance_id, namespace, name: name.join('/') };
  const repository = await findRepository(db, place);
  if (repository === undefined) throw notFound('repository', idOrPath);
  return repository.id;
}

function coveringOf({ chain: covering, repository }: RunContext, chain: ChainWithInstance): CoveringChain {
  if (!chain.enabled) {
    throw conflict('chain.disabled', `The chain "${chain.name}" is disabled, so it starts nothing. Enable it first.`);
  }
  if (covering?.id === chain.id) return covering;
  const why =
    covering === null
      ? 'its scope leaves the repository out'
      : `the chain "${covering.definition.name}" covers it more closely`;
  throw conflict(
    'chain.repository_not_covered',
    `The chain "${chain.name}" does not take "${repository.namespace}/${repository.name}": ${why}. Start the chain that covers the repository, or change the scope.`,
  );
}

/** Without a rule in the request: the one enabled rule that takes the ref, or the one with a ref of its own. */
function onlyRule({ buildRules }: RunContext, ref: string | undefined): IdentifiedBuildRule {
  const candidates = buildRules.filter((rule) => rule.enabled && takes(rule, ref));
  const [rule, ...others] = candidates;
  if (rule !== undefined && others.length === 0) return rule;
  if (rule === undefined) {
    throw new AppError(
      422,
      'build_rule.ref_not_matched',
      ref === undefined
        ? 'No enabled build rule of the repository has one ref of its own. Name the "ref" to build.'
        : `No enabled build rule of the repository takes "${ref}". Choose another ref, or add a rule.`,
    );
  }
  throw new AppError(
    422,
    'build_rule.ambiguous',
    `${candidates.length} build rules of the repository take ${ref === undefined ? 'a ref of their own' : `"${ref}"`}. Name the one to build in "rule".`,
    { extra: { rules: candidates.map(({ id }) => id) } },
  );
}

function takes(rule: IdentifiedBuildRule, ref: string | undefined): boolean {
  if (ref === undefined) return rule.ref.match === 'exact';
  return buildRuleMatch(rule, { ref, refType: rule.ref.type }) !== undefined;
}

async function startFromTag(
  deps: StartChainRunDeps,
  {
    request,
    repositoryId,
    chain,
    tag,
  }: { request: ChainRunRequest; repositoryId: string; chain: ChainWithInstance; tag: string },
): Promise<StartableRun> {
  const before = await getRunContext(deps.db, repositoryId);
  const digest = await resolveTag(deps, before.repository, tag);
  const at = deps.clock();
  const run = await deps.db.transaction().execute(async (trx) => {
    const context = await getRunContext(trx, repositoryId);
    const { cause, actor } = request;
    return insertRun(trx, {
      repository: context.repository,
      chain: chainSnapshot(context, coveringOf(context, chain)),
      triggers: context.triggers,
      origin: { kind: 'image', tag, digest },
      cause,
      actor,
      orderNo: await drawOrderNo(trx),
      workflowId: ({ runId }) => workflowIds.run({ chainId: chain.id, cause, runId }),
      timings: deps.config.SLIPWAY_TIMINGS,
      at,
    });
  });
  void deps.starter.start(run);
  return run;
}

/** What the tag is now is known to the registry only: anyone may have pushed it. */
async function resolveTag({ registries }: StartChainRunDeps, repository: RepositoryRef, tag: string): Promise<string> {
  const path = `${repository.namespace}/${repository.name}`;
  const head = async () => {
    const client = await registries.client(repository.instanceId, [{ repository: path, actions: ['pull'] }]);
    return client.manifestHead(path, tag, { signal: AbortSignal.timeout(resolveMs) });
  };
  const manifest = await head().catch((error: unknown) => {
    throw new AppError(
      503,
      'registry.not_reachable',
      'The registry did not say what the tag is, so nothing was started. Try again in a moment; if it stays, check the instance.',
      { cause: error, extra: { retryAfterSeconds: 10 } },
    );
  });
  if (manifest === undefined) throw notFound('tag', tag);
  return manifest.digest;
}
