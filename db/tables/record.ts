import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { DeliveryChainInput } from '../../domain/chain.ts';
import type { Reason } from '../../domain/errors.ts';
import type { RunCause, RunResult, RunStatus, SkipReason, StepName, StepState } from '../../domain/record.ts';
import type { TriggerDefinition } from '../../domain/trigger.ts';
import type { Json } from '../json.ts';

/** One execution of a chain (docs/product.md, section 12). A build outside a chain is a run without chain and number 0. */
export interface RunTable {
  id: string;
  number: number;
  chain_id: string | null;
  chain_name: string | null;
  chain_version: number | null;
  instance_id: string;
  namespace_id: string;
  repository_id: string;
  build_rule_id: string | null;
  build_id: string | null;
  cause: RunCause;
  /** An account's name, or the host's user, unverified. */
  actor: string | null;
  ref: string | null;
  ref_type: 'branch' | 'tag' | null;
  commit: string | null;
  message: string | null;
  author: string | null;
  tags: Json<readonly string[]>;
  digest: string | null;
  images: Json<readonly { tag: string; digest: string; platforms: readonly string[] }[]>;
  status: RunStatus;
  result: RunResult | null;
  reason: Json<Reason | null>;
  attempt: Generated<number>;
  order_no: number;
  /** The workflow's whole input: rules and policy as at the start. */
  input: Json<DeliveryChainInput>;
  /** What may hold a secret or be large, read by activities only. */
  trigger_snapshots: Json<readonly RunTrigger[]>;
  workflow_id: string;
  workflow_run_id: string | null;
  /** When the workflow was known to be started; null rows are the sweeper's. */
  started_note_at: Date | null;
  cancel_requested_by: string | null;
  /** Runs of one key follow the chain's concurrency; null outside a chain. */
  concurrency_key: Generated<string | null>;
  /** Temporal's own: 1 is first, 5 last. */
  priority: Generated<number>;
  /** Waits for the run before it to end (`queue`); its workflow is not started until then. */
  is_waiting: Generated<boolean>;
  /** The newer run it gives way to, and the older one that gives way to it. */
  superseded_by_id: Generated<string | null>;
  supersedes_id: Generated<string | null>;
  queued_at: ColumnType<Date, Date, never>;
  started_at: Date | null;
  ended_at: Date | null;
  /** Grows with every change; clients drop older states. */
  version: Generated<number>;
}

/** A trigger as a run keeps it, whole; its signing secret by reference. */
export interface RunTrigger {
  readonly id: string;
  readonly definition: TriggerDefinition;
  readonly secretRef: string;
}

export interface RunStepTable {
  run_id: string;
  attempt: number;
  name: StepName;
  ordinal: number;
  state: StepState;
  why: SkipReason | null;
  reason: Json<Reason | null>;
  result: Json<unknown>;
  attempts: Generated<number>;
  queued_ms: number | null;
  started_at: Date | null;
  ended_at: Date | null;
}

/** One architecture, destination or trigger of a step; written by the activity that does the work. */
export interface RunStepChildTable {
  run_id: string;
  attempt: number;
  step: StepName;
  key: string;
  state: StepState;
  reason: Json<Reason | null>;
  result: Json<unknown>;
  started_at: Date | null;
  ended_at: Date | null;
}

/** Every change of a run, in order: the trail of its Record and the outbox of the state stream. `id` is the stream's event id. */
export interface RunEventTable {
  id: Generated<number>;
  run_id: string;
  chain_id: string | null;
  type: string;
  data: Json<unknown>;
  version: number;
  at: ColumnType<Date, Date | undefined, never>;
}

export type RunRow = Selectable<RunTable>;
export type NewRun = Insertable<RunTable>;
export type RunUpdate = Updateable<RunTable>;
export type RunStepRow = Selectable<RunStepTable>;
export type RunStepChildRow = Selectable<RunStepChildTable>;
export type RunEventRow = Selectable<RunEventTable>;
