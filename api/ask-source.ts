import type { Git } from '../activities/drivers/git.ts';
import type { SourceLogins } from '../activities/drivers/source-logins.ts';
import type { SourceAddress } from '../db/repositories/source-address.ts';
import { AppError } from '../domain/errors.ts';
import { SourceError } from '../domain/source-error.ts';

/** A request may wait this long for the source host. */
const askMs = 10_000;

type Remote = Parameters<Git['refsList']>[1];

/**
 * Asks a repository's source by git, logged in, within its time. The driver's named errors become the API's: 409 with the code
 * of what will not change by itself, 503 `source.not_reachable` for the rest. `unanswered` says what did not happen now.
 */
export async function askSource<Answer>(
  { sourceLogins }: { readonly sourceLogins: Pick<SourceLogins, 'git'> },
  {
    address,
    unanswered,
    question,
  }: { address: SourceAddress; unanswered: string; question: (remote: Remote) => Promise<Answer> },
): Promise<Answer> {
  const signal = AbortSignal.timeout(askMs);
  try {
    const credential = await sourceLogins.git(address, { signal });
    return await question({ credential, caCertificate: address.caCertificate, signal });
  } catch (error) {
    if (error instanceof SourceError && error.isPermanent)
      throw new AppError(409, error.code, error.message, { cause: error });
    if (!signal.aborted && !(error instanceof SourceError)) throw error;
    throw new AppError(
      503,
      'source.not_reachable',
      `The source host did not answer, so ${unanswered}. Try again in a moment; if it stays, check that the host is up.`,
      { cause: error, extra: { retryAfterSeconds: 10 } },
    );
  }
}
