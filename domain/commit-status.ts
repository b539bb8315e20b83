import type { RunResult, RunStatus } from './record.ts';

/** What a commit is said to be at its source host (docs/product.md, section 16, X-10). */
export type CommitState = 'pending' | 'running' | 'success' | 'failure' | 'canceled';

/** The newest run of one build rule for the commit. */
export interface CommitRun {
  readonly id: string;
  readonly buildId: string | null;
  readonly status: RunStatus;
  readonly result: RunResult | null;
  /** The sentence of the Record; null while it runs. */
  readonly text: string | null;
}

export interface CommitVerdict {
  readonly state: CommitState;
  readonly description: string;
  /** The run people are led to. */
  readonly run: CommitRun;
}

/** Hosts show about so much of a sentence; GitHub refuses more. */
const descriptionLength = 140;
/** What tells most comes first: a failure while others still run is a failure. */
const weights: Readonly<Record<CommitState, number>> = { failure: 0, running: 1, pending: 2, canceled: 3, success: 4 };

/** One state for a commit that several rules may build: the worst of them, and the run that says why; undefined without runs. */
export function commitVerdict(runs: readonly CommitRun[]): CommitVerdict | undefined {
  const [worst] = runs.toSorted((a, b) => weights[stateOf(a)] - weights[stateOf(b)]);
  if (worst === undefined) return undefined;
  const state = stateOf(worst);
  return { state, description: short(worst.text ?? openWords(state)), run: worst };
}

/** `slipway/<chain>`, or the repository's path for builds outside a chain. */
export function statusContext({ chain, repository }: { chain: string | null; repository: string }): string {
  return `slipway/${chain ?? repository}`;
}

function stateOf({ status, result }: CommitRun): CommitState {
  switch (result) {
    case 'success':
      return 'success';
    case 'failed':
    case 'denied':
      return 'failure';
    case 'canceled':
      return 'canceled';
    case null:
      return status === 'queued' ? 'pending' : 'running';
  }
}

function openWords(state: CommitState): string {
  return state === 'pending' ? 'Waiting for its turn' : 'Running';
}

function short(text: string): string {
  return text.length <= descriptionLength ? text : `${text.slice(0, descriptionLength - 1)}…`;
}
