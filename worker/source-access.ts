import { readFile } from 'node:fs/promises';
import { createEgress } from '../activities/drivers/egress.ts';
import { createGithubApps } from '../activities/drivers/github-app.ts';
import type { GithubApps } from '../activities/drivers/github-app.ts';
import type { SecretBox } from '../activities/drivers/secret-box.ts';
import { createSourceHosts } from '../activities/drivers/source-host.ts';
import type { SourceHosts } from '../activities/drivers/source-host.ts';
import { createSourceLogins } from '../activities/drivers/source-logins.ts';
import type { SourceLogins } from '../activities/drivers/source-logins.ts';
import { createSourceOauth } from '../activities/drivers/source-oauth.ts';
import type { SourceOauth } from '../activities/drivers/source-oauth.ts';
import type { Database } from '../db/database.ts';
import { openSecret } from '../db/repositories/secret.ts';
import { grantStore } from '../db/repositories/source-grant.ts';
import { egressPolicyOf } from '../domain/config.ts';
import type { Config } from '../domain/config.ts';
import { noSourceApps, parseSourceApps } from '../domain/source-apps.ts';
import type { SourceApps } from '../domain/source-apps.ts';

/** Everything that speaks to source hosts but git. */
export interface SourceAccessParts {
  readonly sourceApps: SourceApps;
  readonly sourceHosts: SourceHosts;
  readonly sourceLogins: SourceLogins;
  readonly sourceOauth: SourceOauth;
  readonly githubApps: GithubApps;
}

/** Wires what the API and the workers share; every request has a guarded way out of its own. */
export async function wireSourceAccess(
  config: Config,
  { db, secretBox, clock }: { db: Database; secretBox: SecretBox; clock: () => Date },
): Promise<SourceAccessParts> {
  const file = config.SLIPWAY_SOURCE_APPS_FILE;
  const sourceApps = file === undefined ? noSourceApps : parseSourceApps(await readFile(file, 'utf8'));
  const policy = egressPolicyOf(config);
  const openEgress = ({ ca }: { readonly ca?: string }) =>
    createEgress({ policy, ...(ca === undefined ? {} : { ca }) });
  const sourceOauth = createSourceOauth({ openEgress, clock });
  const githubApps = createGithubApps({ openEgress, clock });
  return {
    sourceApps,
    sourceHosts: createSourceHosts({ openEgress }),
    sourceLogins: createSourceLogins({
      apps: sourceApps,
      oauth: sourceOauth,
      github: githubApps,
      openSecret: (ref) => openSecret(db, secretBox, ref),
      grants: grantStore({ db, secretBox, clock }),
      clock,
    }),
    sourceOauth,
    githubApps,
  };
}
