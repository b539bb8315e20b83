import { ApplicationFailure } from '@temporalio/activity';
import { BuildFailed } from '../domain/build-error.ts';
import type { Database } from '../db/database.ts';
import { noteAttemptFailure } from '../db/repositories/build-attempt.ts';
import type { BuildAttempt } from '../db/repositories/build-attempt.ts';
import type { BuildReason } from '../db/tables/build.ts';
import type { BuildLog } from './build-log.ts';

interface FailureDeps {
  readonly db: Database;
  readonly clock: () => Date;
}

/** Says in log and on the Record why an attempt ended, and throws what Temporal goes by. A cancellation is the workflow's to record. */
export async function failAttempt(
  deps: FailureDeps,
  place: BuildAttempt,
  { error, log, signal }: { error: unknown; log: BuildLog; signal: AbortSignal },
): Promise<never> {
  if (signal.aborted) {
    log.say('build', 'Stopped.');
    throw error;
  }
  if (!(error instanceof BuildFailed)) return waitWith(deps, place, error);
  const { code, fault, isPermanent, params, text } = error.problem;
  log.say('build', `ERROR: ${text}`);
  const details = { ...params, platform: place.platform, fault };
  const reason: BuildReason = { code, params: details, text, fault };
  await noteFailure(deps, place, { reason, isPermanent });
  if (isPermanent) throw ApplicationFailure.nonRetryable(text, code, details);
  throw ApplicationFailure.create({ message: text, type: code, details: [details] });
}

/** Says on the Record why the build waits, and throws what is tried again. */
export async function waitWith(deps: FailureDeps, place: BuildAttempt, error: unknown): Promise<never> {
  const text = error instanceof Error ? error.message : String(error);
  const reason: BuildReason = {
    code: 'build.interrupted',
    params: { platform: place.platform, fault: 'system' },
    text: `Waiting to try again: ${text}`,
    fault: 'system',
  };
  // What stopped the build may well be the database: its own error says more than ours.
  await noteFailure(deps, place, { reason, isPermanent: false }).catch(() => undefined);
  throw error;
}

async function noteFailure(
  { db, clock }: FailureDeps,
  place: BuildAttempt,
  { reason, isPermanent }: { reason: BuildReason; isPermanent: boolean },
): Promise<void> {
  await noteAttemptFailure(db, place, { reason, isPermanent, at: clock() });
}
