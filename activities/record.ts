import type { RunImages } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import type { RunResult, SkipReason, StepName, StepState } from '../domain/record.ts';
import type { Database } from '../db/database.ts';
import { recordRunImages, recordRunStart, recordStep } from '../db/repositories/record.ts';
import { recordRunEnd } from '../db/repositories/run-end.ts';

export interface RecordDeps {
  readonly db: Database;
}

/** Times are the workflow's own, in milliseconds since 1970: a late write still says when it happened. */
export interface StepNote {
  readonly name: StepName;
  readonly state: StepState;
  readonly why: SkipReason | null;
  readonly reason: Reason | null;
  readonly result: unknown;
  /** null: the step never began. */
  readonly startedAtMs: number | null;
  readonly atMs: number;
}

export interface StepsInput {
  readonly runId: string;
  readonly attempt: number;
  readonly steps: readonly StepNote[];
}

export interface RunEndInput {
  readonly runId: string;
  readonly attempt: number;
  readonly result: RunResult;
  readonly reason: Reason;
  readonly atMs: number;
}

/** Keeps the Record true (docs/product.md, section 12). All writes have natural keys and may run twice. */
export function createRecordActivities({ db }: RecordDeps) {
  return {
    async startRun({ runId, atMs }: { runId: string; atMs: number }): Promise<void> {
      await recordRunStart(db, { runId, at: new Date(atMs) });
    },
    async recordSteps({ runId, attempt, steps }: StepsInput): Promise<void> {
      for (const { startedAtMs, atMs, ...step } of steps) {
        const startedAt = startedAtMs === null ? null : new Date(startedAtMs);
        await recordStep(db, { runId, attempt, ...step, startedAt, at: new Date(atMs) });
      }
    },
    async recordImages({ runId, images }: { runId: string; images: RunImages }): Promise<void> {
      await recordRunImages(db, { runId, images });
    },
    async endRun({ atMs, ...end }: RunEndInput): Promise<void> {
      await recordRunEnd(db, { ...end, at: new Date(atMs) });
    },
  };
}
