import { createHmac, randomBytes } from 'node:crypto';
import type { Database } from '../db/database.ts';
import { newId } from '../db/new-id.ts';
import { deleteSecrets } from '../db/repositories/secret.ts';
import { findSourceAccount, insertSourceAccount, updateSourceAccount } from '../db/repositories/source-account.ts';
import { insertSourceAuthorization, takeSourceAuthorization } from '../db/repositories/source-authorization.ts';
import { clearStatusIssues } from '../db/repositories/source-binding.ts';
import type { SourceAccountRow, SourceAuthorizationRow } from '../db/tables/source.ts';
import { AppError, conflict, invalidRequest } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import { findGithubApp, findOauthApp } from '../domain/source-apps.ts';
import type { GithubApp, OauthApp, SourceApps } from '../domain/source-apps.ts';
import type { SourceCredential } from '../domain/source-credential.ts';
import { HostError } from '../domain/source-host-error.ts';
import type { AuthorizationRefusal, SourceAuthorizationDefinition, SourceHost } from '../domain/source.ts';
import { sha256 } from './auth.ts';
import type { ApiDeps } from './deps.ts';
import { checkPlace, sealCredential } from './source-credential.ts';
import type { HostPlace } from './source-credential.ts';

type AuthorizationDeps = Pick<
  ApiDeps,
  'db' | 'clock' | 'config' | 'secretBox' | 'egressPolicy' | 'resolveHost' | 'sourceApps' | 'sourceOauth' | 'githubApps'
>;

const exchangeMs = 30_000;

/**
 * Begins connecting a host in the browser; answers its consent page, or the page on which a GitHub App is installed. Throws 409
 * `source.authorization_unavailable`, 422 `url.forbidden`, `source.source_account_invalid`.
 */
export async function beginAuthorization(
  deps: AuthorizationDeps,
  { instanceId, actor, definition }: { instanceId: string; actor: string; definition: SourceAuthorizationDefinition },
): Promise<{ url: string; expiresAt: Date }> {
  const place = await checkPlace(deps, definition);
  const way = wayOf(deps, place, definition.flow);
  await checkAccount(deps, { instanceId, place, sourceAccount: definition.sourceAccount });
  const state = randomBytes(32).toString('base64url');
  const now = deps.clock();
  const expiresAt = new Date(now.getTime() + limits.sourceAuthorizationMs);
  await insertSourceAuthorization(
    deps.db,
    {
      state_hash: sha256(state).toString('hex'),
      actor,
      instance_id: instanceId,
      source_account_id: definition.sourceAccount ?? null,
      flow: way.flow,
      host: place.host,
      base_url: place.baseUrl,
      ca_certificate: place.caCertificate,
      expires_at: expiresAt,
    },
    { now },
  );
  const url =
    way.flow === 'app'
      ? deps.githubApps.installationUrl(way.app, state)
      : await deps.sourceOauth.authorizationUrl({ app: way.app, ...partsOf(deps, state) });
  return { url, expiresAt };
}

type Way = { readonly flow: 'oauth'; readonly app: OauthApp } | { readonly flow: 'app'; readonly app: GithubApp };

/** The way asked for, else OAuth where it is set up, else the GitHub App. */
function wayOf({ sourceApps }: AuthorizationDeps, place: HostPlace, flow: 'oauth' | 'app' | undefined): Way {
  const oauth = flow === 'app' ? undefined : findOauthApp(sourceApps, place);
  if (oauth !== undefined) return { flow: 'oauth', app: oauth };
  const app = flow === 'oauth' ? undefined : findGithubApp(sourceApps, place);
  if (app !== undefined) return { flow: 'app', app };
  throw conflict(
    'source.authorization_unavailable',
    `No application is registered with ${place.baseUrl}, so it cannot be connected in the browser. Enter a token instead, or ask the administrator to register one.`,
  );
}

async function checkAccount(
  { db }: AuthorizationDeps,
  { instanceId, place, sourceAccount }: { instanceId: string; place: HostPlace; sourceAccount: string | undefined },
): Promise<void> {
  if (sourceAccount === undefined) return;
  const account = await findSourceAccount(db, sourceAccount);
  const isSame =
    account?.instance_id === instanceId && account.host === place.host && account.base_url === place.baseUrl;
  if (isSame) return;
  const message = `This instance has no source account "${sourceAccount}" of this host. Leave it out to make a new one.`;
  throw invalidRequest([{ pointer: '/sourceAccount', code: 'source.source_account_invalid', message }]);
}

/** What both ends of the flow must agree on; PKCE's verifier is made of the state, so nothing of it is stored. */
function partsOf({ config, secretBox }: Pick<AuthorizationDeps, 'config' | 'secretBox'>, state: string) {
  const verifier = createHmac('sha256', secretBox.deriveKey('source authorization')).update(state).digest('base64url');
  return { state, verifier, redirectUri: `${config.SLIPWAY_URL}/oauth/callback` };
}

/**
 * Ends it: the callback's state is used up, its code traded for a grant, the account made or given its new credential. Throws 400
 * `source.authorization_refused`, 503 `source.not_reachable`.
 */
export async function endAuthorization(
  deps: AuthorizationDeps,
  { actor, answer }: { actor: string; answer: URLSearchParams },
): Promise<SourceAccountRow> {
  const state = answer.get('state') ?? '';
  const stateHash = sha256(state).toString('hex');
  const begun = await takeSourceAuthorization(deps.db, { stateHash, actor, now: deps.clock() });
  if (begun === undefined)
    throw refused(
      'not_begun',
      'This answer belongs to no connection you began in the last ten minutes, or was used before.',
    );
  const credential = await credentialOf(deps, begun, { answer, state });
  return deps.db.transaction().execute((trx) => storeAccount(trx, deps, { begun, credential }));
}

async function credentialOf(
  deps: AuthorizationDeps,
  begun: SourceAuthorizationRow,
  { answer, state }: { answer: URLSearchParams; state: string },
): Promise<SourceCredential> {
  const place = { host: begun.host, baseUrl: begun.base_url, caCertificate: begun.ca_certificate };
  const way = wayOf(deps, place, begun.flow);
  const call = { caCertificate: begun.ca_certificate, signal: AbortSignal.timeout(exchangeMs) };
  try {
    const app = way.flow === 'oauth' ? way.app : { ...way.app, host: 'github' as const };
    const parts = partsOf(deps, state);
    // The page that installs a GitHub App takes no challenge along.
    const verifier = way.flow === 'oauth' ? parts.verifier : null;
    const grant = await deps.sourceOauth.codeExchange({ app, ...parts, verifier, answer, ...call });
    if (way.flow === 'oauth') return grant;
    return await installationOf(deps, { app: way.app, userToken: grant.accessToken, answer, ...call });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (error.kind === 'refused') throw refused('denied', error.message);
    throw new AppError(503, 'source.not_reachable', error.message, { cause: error });
  }
}

/** The id of an installation comes by the browser, so the person must be shown to see that installation. */
async function installationOf(
  { githubApps }: AuthorizationDeps,
  {
    answer,
    ...call
  }: { app: GithubApp; userToken: string; answer: URLSearchParams; caCertificate: string | null; signal: AbortSignal },
): Promise<SourceCredential> {
  const installationId = answer.get('installation_id') ?? '';
  if (!/^\d{1,20}$/.test(installationId))
    throw refused(
      'not_installed',
      'The GitHub App was not installed: an owner of the organization may have to approve it first.',
    );
  if (await githubApps.installationIsOf({ ...call, installationId })) return { kind: 'installation', installationId };
  throw refused('not_permitted', 'The installation of the GitHub App is not one this GitHub account may use.');
}

async function storeAccount(
  trx: Database,
  deps: AuthorizationDeps,
  { begun, credential }: { begun: SourceAuthorizationRow; credential: SourceCredential },
): Promise<SourceAccountRow> {
  const { instance_id: instanceId, source_account_id: accountId } = begun;
  const sealed = await sealCredential(trx, deps, { instanceId, credential });
  const account = accountId === null ? undefined : await findSourceAccount(trx, accountId);
  if (account === undefined)
    return insertSourceAccount(trx, {
      id: newId('src'),
      instance_id: instanceId,
      host: begun.host,
      base_url: begun.base_url,
      ca_certificate: begun.ca_certificate,
      ...sealed,
      created_at: deps.clock(),
    });
  const changed = await updateSourceAccount(trx, account.id, { ...sealed, ca_certificate: begun.ca_certificate });
  await clearStatusIssues(trx, account.id);
  if (account.credential_ref !== null) await deleteSecrets(trx, [account.credential_ref]);
  return changed;
}

function refused(reason: AuthorizationRefusal, why: string): AppError {
  const detail = `${why} Begin again from the source accounts.`;
  return new AppError(400, 'source.authorization_refused', detail, { extra: { reason } });
}

/** The hosts people can connect in the browser: those an application is registered with. */
export function listAuthorizations({
  oauth,
  githubApps,
}: SourceApps): readonly { host: SourceHost; baseUrl: string; flow: 'oauth' | 'app' }[] {
  return [
    ...githubApps.map(({ baseUrl }) => ({ host: 'github' as const, baseUrl, flow: 'app' as const })),
    ...oauth.map(({ host, baseUrl }) => ({ host, baseUrl, flow: 'oauth' as const })),
  ];
}
