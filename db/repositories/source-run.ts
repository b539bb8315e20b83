import type { DatabaseTransaction } from '../database.ts';
import { chainSnapshot, findLiveRun, insertRun, outsideChain } from './run-start.ts';
import type { StartableRun } from './run-start.ts';
import type { IdentifiedBuildRule, RunContext } from './run-context.ts';
import { expandImageTags } from '../../domain/build-tags.ts';
import type { ExpandedTags } from '../../domain/build-tags.ts';
import { concurrencyOf } from '../../domain/chain.ts';
import type { ChainSnapshot, Concurrency, RepositoryRef, RunTimings } from '../../domain/chain.ts';
import { AppError } from '../../domain/errors.ts';
import type { Reason } from '../../domain/errors.ts';
import { hasQueueRoom } from './queue.ts';
import type { RunCause } from '../../domain/record.ts';
import { workflowIds } from '../../domain/run-id.ts';
import type { RunSource } from '../../domain/source.ts';

/** A build of one rule for one commit, about to be inserted; the caller holds the row lock of the ref. */
export interface SourceStart {
  readonly context: RunContext;
  readonly rule: IdentifiedBuildRule;
  readonly groups: Readonly<Record<string, string>>;
  readonly source: RunSource;
  readonly cause: RunCause;
  readonly actor: string | null;
  readonly orderNo: number;
  readonly timings: RunTimings;
  readonly at: Date;
  /** How many builds of the namespace may wait for a worker; a start past it is refused. Pushes have none: the inbox asks before, and they wait there. */
  readonly queueLimit?: number;
  /** Id of a chain's workflow where the start itself gives one; else the run's own. */
  readonly chainWorkflowId?: (chainId: string) => string;
}

export type SourceStarted =
  | { readonly kind: 'started'; readonly run: StartableRun }
  /** The same rule, ref and commit is live already. */
  | { readonly kind: 'live'; readonly run: StartableRun };

/**
 * Inserts the run of one rule for one commit: in the chain that covers the repository where its build node is on, else as a build
 * outside a chain (docs/product.md, section 8, "A chain takes over"). Tags that cannot be made end the run at once, on its Record.
 */
export async function insertSourceRun(trx: DatabaseTransaction, start: SourceStart): Promise<SourceStarted> {
  const { context, rule, source, groups, cause } = start;
  const live = await findLiveRun(trx, { ruleId: rule.id, ...source });
  if (live !== undefined) return { kind: 'live', run: live };
  if (start.queueLimit !== undefined)
    await refuseFullQueue(trx, { repository: context.repository, limit: start.queueLimit });
  const chain = buildingChain(context);
  const expanded = expandImageTags(rule.imageTags, { groups, source });
  const run = await insertRun(trx, {
    repository: context.repository,
    chain,
    triggers: chain.id === null ? [] : context.triggers,
    origin: {
      kind: 'source',
      rule,
      source,
      tags: expanded.kind === 'tags' ? expanded.tags : [],
      isCached: context.isCached,
      buildRegion: context.buildRegion,
      reuse: [],
    },
    cause,
    actor: start.actor,
    orderNo: start.orderNo,
    workflowId: ({ runId, buildId }) => workflowIdOf(start, chain.id, { runId, buildId }),
    timings: start.timings,
    at: start.at,
    ...(expanded.kind === 'invalid' ? { failure: tagInvalid(expanded, source) } : {}),
  });
  return { kind: 'started', run };
}

/** 429 `build.queue_full`: starts by hand are refused, so that they are not forgotten in a line a thousand long. */
export async function refuseFullQueue(
  trx: DatabaseTransaction,
  { repository, limit }: { repository: Pick<RepositoryRef, 'namespace' | 'namespaceId'>; limit: number },
): Promise<void> {
  if (await hasQueueRoom(trx, { namespaceId: repository.namespaceId, limit })) return;
  throw new AppError(
    429,
    'build.queue_full',
    `${limit} builds of the namespace "${repository.namespace}" wait for a worker already, which is the limit. Start this one when some of them have been built, or cancel some.`,
    { extra: { limit, retryAfterSeconds: 60 } },
  );
}

/** How runs of one ref of the repository follow each other now (docs/product.md, section 8, "concurrency"). */
export function sourceConcurrency(context: RunContext, refType: RunSource['refType']): Concurrency {
  return concurrencyOf(buildingChain(context), refType);
}

/** The chain whose build node builds this repository now, else a build outside any chain. */
function buildingChain(context: RunContext): ChainSnapshot {
  const { chain } = context;
  return chain?.definition.nodes.build === undefined ? outsideChain : chainSnapshot(context, chain);
}

function workflowIdOf(
  { chainWorkflowId, cause }: Pick<SourceStart, 'chainWorkflowId' | 'cause'>,
  chainId: string | null,
  { runId, buildId }: { runId: string; buildId: string | null },
): string {
  if (chainId === null) return workflowIds.build(buildId ?? runId);
  return chainWorkflowId?.(chainId) ?? workflowIds.run({ chainId, cause, runId });
}

function tagInvalid({ tag, text }: Extract<ExpandedTags, { kind: 'invalid' }>, { ref }: RunSource): Reason {
  return { code: 'build.tag_invalid', params: { tag: tag.slice(0, 200), ref }, text };
}
