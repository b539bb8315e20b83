import type { Logger } from 'pino';
import type { Git, GitCredential } from '../activities/drivers/git.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import type { SourceAddress } from '../db/repositories/source-address.ts';
import type { Database } from '../db/database.ts';
import type { HostTips } from '../domain/late-push.ts';
import type { Clock } from './deps.ts';

/** How long a push may wait for its host to say where the ref stands; then it is built as told. */
const readMs = 5_000;
/** A host that did not answer is not asked again for so long: its pushes must not wait one after another. */
const restMs = 30_000;

/** Asks source hosts where refs stand now. */
export interface SourceTips {
  /** The refs by their full names; null when the host cannot be asked or does not answer in time. Never throws. */
  read(repositoryId: string, fullRefs: readonly string[]): Promise<HostTips | null>;
}

export interface SourceTipsDeps {
  readonly db: Database;
  readonly git: Pick<Git, 'refsRead'>;
  /** The login git sends to the host of an address. */
  readonly openLogin: (address: SourceAddress, call: { readonly signal: AbortSignal }) => Promise<GitCredential | null>;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createSourceTips({ db, git, openLogin, clock, log }: SourceTipsDeps): SourceTips {
  const resting = new Map<string, number>();
  const now = () => clock().getTime();
  return {
    async read(repositoryId, fullRefs) {
      const address = await findSourceAddress(db, repositoryId);
      if (address === undefined) return null;
      const { accountId, url, caCertificate } = address;
      if ((resting.get(accountId) ?? 0) > now()) return null;
      try {
        const signal = AbortSignal.timeout(readMs);
        const credential = await openLogin(address, { signal });
        const tips = await git.refsRead(url, fullRefs, { credential, caCertificate, signal });
        resting.delete(accountId);
        return tips;
      } catch (error) {
        resting.set(accountId, now() + restMs);
        log.warn({ err: error, repositoryId }, 'the source host did not say where a ref stands');
        return null;
      }
    },
  };
}
