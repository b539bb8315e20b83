import type { GrantStore } from '../../activities/drivers/source-logins.ts';
import type { SecretBox } from '../../activities/drivers/secret-box.ts';
import type { Database } from '../database.ts';
import { replaceSecret } from './secret.ts';

/** A renewal takes a second or two; after this time its process is taken for dead. */
const claimMs = 30_000;

/** Keeps renewed OAuth grants; the account's row says who renews, so that no transaction waits for a host. */
export function grantStore({
  db,
  secretBox,
  clock,
}: {
  db: Database;
  secretBox: Pick<SecretBox, 'seal' | 'open'>;
  clock: () => Date;
}): GrantStore {
  return {
    async claim(accountId) {
      const now = clock();
      const claimed = await db
        .updateTable('source_account')
        .set({ renewing_until: new Date(now.getTime() + claimMs) })
        .where('id', '=', accountId)
        .where((eb) => eb.or([eb('renewing_until', 'is', null), eb('renewing_until', '<=', now)]))
        .returning('id')
        .executeTakeFirst();
      return claimed !== undefined;
    },
    store: ({ credentialRef }, grant) =>
      replaceSecret(db, secretBox, { ref: credentialRef, value: JSON.stringify(grant) }),
    async release(accountId) {
      await db.updateTable('source_account').set({ renewing_until: null }).where('id', '=', accountId).execute();
    },
  };
}
