import { createHash } from 'node:crypto';
import type { ObjectStore } from '../../activities/drivers/object-store.ts';
import type { Registries } from '../../activities/drivers/registries.ts';
import type { Database } from '../../db/database.ts';
import {
  listBrokenLogs,
  listDoubledBuilds,
  listHalfEndedRuns,
  listLiveRuns,
  listLogPieces,
  listPointedTags,
  listUnexplainedDeliveries,
  listUnorderedTags,
} from '../../db/repositories/check.ts';
import type { Finding, LiveRun, LogPiece, PointedTag } from '../../db/repositories/check.ts';

/** What Slipway promises of its own data: each is checked by one function below. */
const invariants = {
  /** Every delivery of the inbox has one outcome. */
  INV1: checkDeliveries,
  /** A run has ended or its workflow lives, and none is past its deadline. */
  INV2: checkRuns,
  /** A rule never builds one commit of a ref twice at once, nor again without a reason. */
  INV3: checkBuilds,
  /** The numbers applied to a tag never fall, and the registry holds what was applied last. */
  INV4: checkTags,
  /** A log has every line once, with the bytes that were written. */
  INV8: checkLogs,
} as const;
export type Invariant = keyof typeof invariants;

/** One thing that does not hold. */
export interface Violation extends Finding {
  readonly invariant: Invariant;
}

/** Everything the checker looks at; it changes nothing. */
export interface CheckDeps {
  readonly db: Database;
  /** Whether the engine carries out this workflow now. */
  readonly isWorkflowRunning: (workflowId: string) => Promise<boolean>;
  readonly registries: Pick<Registries, 'client'>;
  readonly objectStore: Pick<ObjectStore, 'objectGetBytes'>;
  readonly clock: () => Date;
  readonly signal: AbortSignal;
  /** What is younger than this may still be on its way: a delivery that waits, a run that is being started. */
  readonly graceMs: number;
}

const pageSize = 500;
const callMs = 30_000;

/**
 * Checks the whole installation and answers every violation; none means clean. Made for a quiet moment or a busy one: what seems
 * wrong is looked at a second time, since it may have gone on in between.
 */
export async function check(
  deps: CheckDeps,
  names: readonly Invariant[] = ['INV1', 'INV2', 'INV3', 'INV4', 'INV8'],
): Promise<readonly Violation[]> {
  const found: Violation[] = [];
  for (const invariant of names) {
    const findings = await invariants[invariant](deps);
    found.push(...findings.map((finding) => ({ invariant, ...finding })));
  }
  return found;
}

async function checkDeliveries({ db, clock, graceMs }: CheckDeps): Promise<readonly Finding[]> {
  return listUnexplainedDeliveries(db, { before: new Date(clock().getTime() - graceMs) });
}

async function checkRuns(deps: CheckDeps): Promise<readonly Finding[]> {
  const suspects = [];
  for (const run of await listLiveRuns(deps.db)) if ((await runProblem(deps, run)) !== undefined) suspects.push(run);
  const findings: Finding[] = [...(await listHalfEndedRuns(deps.db))];
  // The end of a run is written by its workflow just before that closes: asked a second time, a sound one has ended.
  for (const { id } of suspects) {
    const [again] = await listLiveRuns(deps.db, { id });
    const problem = again === undefined ? undefined : await runProblem(deps, again);
    if (problem !== undefined) findings.push({ subject: `run ${id}`, text: problem });
  }
  return findings;
}

async function runProblem({ isWorkflowRunning, clock, graceMs }: CheckDeps, run: LiveRun): Promise<string | undefined> {
  const now = clock().getTime();
  const begunMs = run.started_at?.getTime() ?? Infinity;
  if (now > begunMs + run.deadlineMs + graceMs) return `is ${run.status} past its deadline`;
  if (run.is_waiting) return run.isBehindAnother ? undefined : 'waits for its turn behind nothing';
  if (now < run.queued_at.getTime() + graceMs) return undefined;
  if (!run.isStarted && run.status === 'queued') {
    return run.isSuperseded ? 'gave way to a newer run and was not ended' : 'was never started';
  }
  return (await isWorkflowRunning(run.workflow_id)) ? undefined : `is ${run.status} without a workflow`;
}

async function checkBuilds({ db }: CheckDeps): Promise<readonly Finding[]> {
  return listDoubledBuilds(db);
}

async function checkTags(deps: CheckDeps): Promise<readonly Finding[]> {
  const findings: Finding[] = [...(await listUnorderedTags(deps.db))];
  for (const tag of await listPointedTags(deps.db)) {
    if ((await digestAt(deps, tag)) === tag.digest) continue;
    // A run may be moving it just now: the row is the intent, the registry follows.
    const [now] = await listPointedTags(deps.db, tag);
    if (now === undefined) continue;
    const digest = await digestAt(deps, now);
    if (digest === now.digest) continue;
    findings.push({
      subject: `tag ${now.path}:${now.tag}`,
      text: `the registry holds ${digest ?? 'nothing'}, what was applied last is ${now.digest}`,
    });
  }
  return findings;
}

async function digestAt(
  { registries, signal }: CheckDeps,
  { instanceId, path, tag }: PointedTag,
): Promise<string | undefined> {
  const client = await registries.client(instanceId, [{ repository: path, actions: ['pull'] }]);
  const head = await client.manifestHead(path, tag, { signal: AbortSignal.any([signal, AbortSignal.timeout(callMs)]) });
  return head?.digest;
}

async function checkLogs(deps: CheckDeps): Promise<readonly Finding[]> {
  const findings: Finding[] = [...(await listBrokenLogs(deps.db))];
  let after: LogPiece | undefined;
  for (;;) {
    const pieces = await listLogPieces(deps.db, { limit: pageSize, ...(after === undefined ? {} : { after }) });
    for (const piece of pieces) {
      const problem = await pieceProblem(deps, piece);
      if (problem !== undefined) findings.push({ subject: `build ${piece.build_id}`, text: problem });
    }
    after = pieces.at(-1);
    if (pieces.length < pageSize) return findings;
  }
}

async function pieceProblem(
  { objectStore, signal }: CheckDeps,
  { object_key: key, first_line: line, sha256 }: LogPiece,
): Promise<string | undefined> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(callMs)]);
    const bytes = await objectStore.objectGetBytes(key, { signal: limit });
    const found = createHash('sha256').update(bytes).digest('hex');
    return found === sha256 ? undefined : `the piece of its log at line ${line} has other bytes than were written`;
  } catch (error) {
    if (error instanceof Error && error.name === 'ObjectMissing')
      return `the piece of its log at line ${line} is not in the store`;
    throw error;
  }
}
