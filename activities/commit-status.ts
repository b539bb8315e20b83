import { Context } from '@temporalio/activity';
import { commitVerdict, statusContext } from '../domain/commit-status.ts';
import type { CommitVerdict } from '../domain/commit-status.ts';
import type { Reason } from '../domain/errors.ts';
import { SourceError } from '../domain/source-error.ts';
import { HostError } from '../domain/source-host-error.ts';
import type { AttemptEnd } from '../domain/trigger.ts';
import type { Database } from '../db/database.ts';
import { findStatusCall, recordStatusRefused, recordStatusSent } from '../db/repositories/commit-status.ts';
import type { StatusCall } from '../db/repositories/commit-status.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import type { SourceHosts } from './drivers/source-host.ts';
import type { SourceLogins } from './drivers/source-logins.ts';

export interface CommitStatusDeps {
  readonly db: Database;
  readonly sourceHosts: SourceHosts;
  readonly sourceLogins: Pick<SourceLogins, 'secret'>;
  /** Address of the console, without a trailing slash. */
  readonly publicUrl: string;
  readonly clock: () => Date;
}

export interface SendCommitStatusResult extends AttemptEnd {
  /** Said, or never to be said: nothing is left to try until the next change. */
  readonly isSettled: boolean;
}

const callMs = 30_000;

/** Tells source hosts what became of a commit (docs/product.md, section 16, X-10). */
export function createCommitStatusActivities(deps: CommitStatusDeps) {
  return {
    /** Says the state as it is now; a refusal of the host is a result, not an error. May run twice. */
    async sendCommitStatus({ statusId }: { readonly statusId: string }): Promise<SendCommitStatusResult> {
      const call = await findStatusCall(deps.db, statusId);
      const verdict = call === undefined ? undefined : commitVerdict(call.runs);
      if (call === undefined || verdict === undefined) return settled;
      const signal = AbortSignal.any([Context.current().cancellationSignal, AbortSignal.timeout(callMs)]);
      try {
        const isSaid = await say(deps, call, { verdict, signal });
        if (isSaid) await record(deps, call, { verdict, issue: null });
        return settled;
      } catch (error) {
        Context.current().cancellationSignal.throwIfAborted();
        return refused(deps, call, { verdict, error });
      }
    },
  };
}

const settled: SendCommitStatusResult = { isSettled: true, statusCode: null, isTimeout: false, retryAfterMs: null };

/** False where there is nobody to tell any more. */
async function say(
  { db, sourceHosts, sourceLogins, publicUrl }: CommitStatusDeps,
  { status, chain, repository }: StatusCall,
  { verdict, signal }: { verdict: CommitVerdict; signal: AbortSignal },
): Promise<boolean> {
  const address = await findSourceAddress(db, status.repository_id);
  if (address === undefined) return false;
  const secret = await sourceLogins.secret(address, { signal });
  const client = secret === null ? null : sourceHosts.client({ ...address, secret });
  if (client === null) return false;
  const request = {
    commit: status.commit,
    context: statusContext({ chain, repository }),
    state: verdict.state,
    description: verdict.description,
    url: linkOf(publicUrl, { repositoryId: status.repository_id, chain }, verdict),
  };
  await client.statusSet(address, request, { signal });
  return true;
}

/** The Record, or the Build page of the repository for a build outside a chain, which has none. */
function linkOf(
  publicUrl: string,
  { repositoryId, chain }: { repositoryId: string; chain: string | null },
  { run }: CommitVerdict,
): string {
  return chain === null && run.buildId !== null
    ? `${publicUrl}/repositories/${repositoryId}/build?build=${run.buildId}`
    : `${publicUrl}/records/${run.id}`;
}

async function refused(
  deps: CommitStatusDeps,
  call: StatusCall,
  { verdict, error }: { verdict: CommitVerdict; error: unknown },
): Promise<SendCommitStatusResult> {
  const failure = failureOf(error);
  if (failure === undefined) throw error;
  const issue = notSet(failure.text);
  await record(deps, call, { verdict, issue });
  if (failure.isOfCredential) await recordStatusRefused(deps.db, { repositoryId: call.status.repository_id, issue });
  const { isSettled, statusCode, isTimeout, retryAfterMs } = failure;
  return { isSettled, statusCode, isTimeout, retryAfterMs };
}

interface Failure extends SendCommitStatusResult {
  readonly text: string;
  /** No other commit would fare better. */
  readonly isOfCredential: boolean;
}

/** undefined for what is a defect of ours. */
function failureOf(error: unknown): Failure | undefined {
  const silent = { statusCode: null, isTimeout: false, retryAfterMs: null };
  if (error instanceof HostError) {
    const { status: statusCode, isTimeout, retryAfterMs, isPermanent, message: text } = error;
    // One commit the host does not know says nothing of the credential.
    const isOfCredential = isPermanent && error.kind !== 'invalid';
    return { isSettled: isPermanent, statusCode, isTimeout, retryAfterMs, text, isOfCredential };
  }
  if (error instanceof SourceError)
    return { ...silent, isSettled: error.isPermanent, text: error.message, isOfCredential: error.isPermanent };
  if (!(error instanceof Error) || error.name !== 'TimeoutError') return undefined;
  return {
    ...silent,
    isTimeout: true,
    isSettled: false,
    text: 'The host did not answer in time.',
    isOfCredential: false,
  };
}

function record(
  { db, clock }: CommitStatusDeps,
  { status }: StatusCall,
  { verdict, issue }: { verdict: CommitVerdict; issue: Reason | null },
): Promise<void> {
  const { id, version } = status;
  return recordStatusSent(db, { id, version, state: verdict.state, issue, at: clock() });
}

function notSet(why: string): Reason {
  return {
    code: 'source.status_not_set',
    params: {},
    text: `The commit got no status: ${why} Give the credential the right to set statuses and bind again.`,
  };
}
