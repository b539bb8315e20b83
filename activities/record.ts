import type { RunImages } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import type { RunResult, SkipReason, StepName, StepState } from '../domain/record.ts';
import type { Database } from '../db/database.ts';
import { recordRunEnd, recordRunImages, recordRunStart, recordStep } from '../db/repositories/record.ts';

export interface RecordDeps {
  readonly db: Database;
}

/** Times are the workflow's own, in milliseconds since 1970: a late write still says when it happened. */
export interface StepInput {
  readonly runId: string;
  readonly attempt: number;
  readonly name: StepName;
  readonly state: StepState;
  readonly why: SkipReason | null;
  readonly reason: Reason | null;
  readonly result: unknown;
  /** null: the step never began. */
  readonly startedAtMs: number | null;
  readonly atMs: number;
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
    async recordStep({ startedAtMs, atMs, ...step }: StepInput): Promise<void> {
      const startedAt = startedAtMs === null ? null : new Date(startedAtMs);
      await recordStep(db, { ...step, startedAt, at: new Date(atMs) });
    },
    async recordImages({ runId, images }: { runId: string; images: RunImages }): Promise<void> {
      await recordRunImages(db, { runId, images });
    },
    async endRun({ atMs, ...end }: RunEndInput): Promise<void> {
      await recordRunEnd(db, { ...end, at: new Date(atMs) });
    },
  };
}
