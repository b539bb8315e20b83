import { createSourceLogins } from '../../activities/drivers/source-logins.ts';
import type { SourceLogins } from '../../activities/drivers/source-logins.ts';
import { noSourceApps } from '../../domain/source-apps.ts';

/** Logins and tokens as they are sealed; what would have to be renewed at a host fails the test. */
export function storedLogins(openSecret: (ref: string) => Promise<string>): SourceLogins {
  const unexpected = () => Promise.reject(new Error('no host is asked in this test'));
  return createSourceLogins({
    apps: noSourceApps,
    oauth: { grantRefresh: unexpected },
    github: { installationToken: unexpected },
    openSecret,
    grants: { claim: unexpected, store: unexpected, release: unexpected },
    clock: () => new Date('2026-11-21T12:00:00Z'),
  });
}
