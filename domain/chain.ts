import { z } from 'zod';
import type { BuildRuleDefinition, PlatformImage } from './build.ts';
import type { Reason } from './errors.ts';
import { limits } from './limits.ts';
import type { RunCause, RunResult, SkipReason, StepName, StepState } from './record.ts';
import type { ReplicationRuleSnapshot } from './replicate.ts';
import { scanPolicySchema } from './scan.ts';
import type { ScanPolicy } from './scan.ts';
import type { RunSource } from './source.ts';
import type { TriggerSnapshot } from './trigger.ts';

const emptyNode = z.strictObject({});

/** The nodes of a chain: present means on; `push` is always on (docs/product.md, section 8). */
const chainNodesSchema = z.strictObject({
  build: emptyNode.optional(),
  push: emptyNode.default({}),
  scan: scanPolicySchema.optional(),
  replicate: emptyNode.optional(),
  trigger: emptyNode.optional(),
});

/** What a chain does when a run starts for a ref or tag that has one already (docs/product.md, section 8, "concurrency"). */
export const concurrencies = ['supersede', 'queue', 'parallel'] as const;
export type Concurrency = (typeof concurrencies)[number];

/** A delivery chain as a user writes it (docs/product.md, section 8). */
export const chainSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?$/),
    description: z.string().max(500).default(''),
    scope: z
      .strictObject({
        namespace: z.string().min(1).nullable().default(null),
        repository: z.string().min(1).nullable().default(null),
        /** null, and no choice, where the scope is one repository. */
        allEffective: z.boolean().nullable().default(true),
        exclude: z.array(z.string().min(1)).max(limits.chainExclusions).default([]),
      })
      .overwrite((scope) => (scope.repository === null ? scope : { ...scope, allEffective: null }))
      .default({ namespace: null, repository: null, allEffective: true, exclude: [] }),
    nodes: chainNodesSchema.default({ push: {}, scan: scanPolicySchema.parse({}) }),
    /** null: branches and image pushes supersede, git tags run in parallel. */
    concurrency: z.enum(concurrencies).nullable().default(null),
    enabled: z.boolean().default(true),
  })
  .superRefine(({ scope }, context) => {
    if (scope.repository !== null && scope.namespace === null) {
      context.addIssue({
        code: 'custom',
        path: ['scope', 'namespace'],
        message: 'A scope that names a repository must name its namespace.',
      });
    }
    if (scope.repository === null && scope.allEffective === null) {
      context.addIssue({
        code: 'custom',
        path: ['scope', 'allEffective'],
        message:
          'Say whether all repositories are taken (true) or all but "exclude" (false): the scope is wider than one.',
      });
    }
    if (scope.exclude.length > 0 && scope.allEffective !== false) {
      context.addIssue({
        code: 'custom',
        path: ['scope', 'exclude'],
        message:
          'Repositories can be excluded only where allEffective is off and the scope is wider than one repository.',
        params: { code: 'chain.exclude_invalid' },
      });
    }
  });
export type ChainDefinition = z.infer<typeof chainSchema>;

/** A repository by its ids and names, as a run keeps it. */
export interface RepositoryRef {
  readonly id: string;
  readonly namespaceId: string;
  readonly namespace: string;
  readonly name: string;
  /** The instance's id and its name. */
  readonly instanceId: string;
  readonly instance: string;
  readonly region: string;
}

/** Every duration of a run that a test must be able to shorten; milliseconds. */
export interface RunTimings {
  readonly deadlineMs: number;
  readonly triggerWaitMs: number;
  /** Multiplies the ladder of trigger attempts; 1 in production. */
  readonly triggerLadderScale: number;
  /** First delay of a retried activity. */
  readonly retryInitialMs: number;
}

export const defaultTimings: RunTimings = {
  deadlineMs: 6 * 3_600_000,
  triggerWaitMs: 10 * 60_000,
  triggerLadderScale: 1,
  retryInitialMs: 5_000,
};

/** The chain as it was when the run started; never read again in mid-run (docs/product.md, section 8, "Snapshot"). */
export interface ChainSnapshot {
  /** null: a build outside any chain, which only builds and pushes. */
  readonly id: string | null;
  readonly name: string | null;
  readonly version: number | null;
  readonly concurrency: Concurrency | null;
  readonly scan: ScanPolicy | null;
  readonly isReplicateOn: boolean;
  readonly isTriggerOn: boolean;
  readonly replicationRules: readonly ReplicationRuleSnapshot[];
  readonly triggers: readonly TriggerSnapshot[];
}

/** The order number of a push told after a newer one of its ref: it may make a missing tag and moves none. */
export const lateOrderNo = 0;

/** How the runs of one ref or tag follow each other: as the chain says, else by what starts them. */
export function concurrencyOf(
  { concurrency }: Pick<ChainSnapshot, 'concurrency'>,
  start: 'branch' | 'tag' | 'image',
): Concurrency {
  return concurrency ?? (start === 'tag' ? 'parallel' : 'supersede');
}

/** What a run starts from: a commit to build by a rule, or an image that exists. */
export type RunOrigin =
  | {
      readonly kind: 'source';
      readonly buildId: string;
      readonly rule: BuildRuleDefinition & { readonly id: string };
      readonly source: RunSource;
      readonly tags: readonly string[];
      readonly isCached: boolean;
      /** Whose workers build it; null: the region of the repository's instance. */
      readonly buildRegion: string | null;
      /** Architectures an earlier build of the commit made; they are taken over, not built (rebuild of the failed ones). */
      readonly reuse: readonly PlatformImage[];
    }
  | { readonly kind: 'image'; readonly tag: string; readonly digest: string };

/** The region whose workers build: the one its repository names, else its instance's. */
export function buildRegionOf(
  { region }: Pick<RepositoryRef, 'region'>,
  { buildRegion }: Pick<Extract<RunOrigin, { kind: 'source' }>, 'buildRegion'>,
): string {
  return buildRegion ?? region;
}

/** The input of one run: ids, names and rules, no secret (docs/product.md, sections 8 and 12). */
export interface DeliveryChainInput {
  readonly runId: string;
  readonly number: number;
  readonly attempt: number;
  readonly cause: RunCause;
  readonly orderNo: number;
  readonly repository: RepositoryRef;
  readonly chain: ChainSnapshot;
  readonly origin: RunOrigin;
  readonly timings: RunTimings;
}

/** The image of a run: one digest, under every tag, with its architectures. */
export interface RunImages {
  readonly digest: string;
  readonly mediaType: string;
  readonly tags: readonly string[];
  readonly platforms: readonly PlatformImage[];
}

/** How one step ended. `result` is what the Record shows and the API answers as `step.result`. */
export interface StepOutcome<Result> {
  readonly state: Extract<StepState, 'success' | 'failed' | 'denied' | 'skipped'>;
  readonly why: SkipReason | null;
  readonly reason: Reason | null;
  readonly result: Result;
}

/** What the workflow returns; small, the Record holds the rest. */
export interface RunEnd {
  readonly result: RunResult;
  readonly reason: Reason;
  readonly steps: Readonly<Record<StepName, StepState>>;
}

/** Whether the chain's scope takes this repository. */
function chainCovers(
  { scope, enabled }: Pick<ChainDefinition, 'scope' | 'enabled'>,
  repository: { readonly namespace: string; readonly name: string },
): boolean {
  if (!enabled) return false;
  if (scope.namespace !== null && scope.namespace !== repository.namespace) return false;
  if (scope.repository !== null) return scope.repository === repository.name;
  return scope.allEffective !== false || !scope.exclude.includes(repository.name);
}

/** The one chain that takes a repository: its own wins over the namespace's, that over the instance's (docs/product.md, section 8). */
export function coveringChain<Chain extends Pick<ChainDefinition, 'scope' | 'enabled'>>(
  chains: readonly Chain[],
  repository: { readonly namespace: string; readonly name: string },
): Chain | undefined {
  const width = ({ scope }: Chain) => (scope.repository !== null ? 0 : scope.namespace !== null ? 1 : 2);
  return chains.filter((chain) => chainCovers(chain, repository)).toSorted((a, b) => width(a) - width(b))[0];
}
