import * as oauth from 'oauth4webapi';
import { EgressRefused } from '../../domain/egress.ts';
import { limits } from '../../domain/limits.ts';
import type { OauthApp } from '../../domain/source-apps.ts';
import type { OauthGrant } from '../../domain/source-credential.ts';
import type { Egress } from './egress.ts';
import { HostError } from '../../domain/source-host-error.ts';
import type { HostRestOptions } from './source-host-rest.ts';

const requestTimeoutMs = 10_000;

/** Where a host's web flow is, and what is asked for: reading code, webhooks, and statuses of commits. */
interface OauthFlow {
  readonly authorize: string;
  readonly token: string;
  /** Empty where the application's registration says it. */
  readonly scope: string;
  /** Whether the host takes PKCE from a client that has a secret. */
  readonly hasPkce: boolean;
  readonly isBasic: boolean;
}

const flows: Readonly<Record<OauthApp['host'], OauthFlow>> = {
  github: {
    authorize: '/login/oauth/authorize',
    token: '/login/oauth/access_token',
    scope: 'repo',
    hasPkce: true,
    isBasic: false,
  },
  gitlab: { authorize: '/oauth/authorize', token: '/oauth/token', scope: 'api', hasPkce: true, isBasic: false },
  gitee: {
    authorize: '/oauth/authorize',
    token: '/oauth/token',
    scope: 'user_info projects hook',
    hasPkce: false,
    isBasic: false,
  },
  bitbucket: {
    authorize: '/site/oauth2/authorize',
    token: '/site/oauth2/access_token',
    scope: '',
    hasPkce: false,
    isBasic: true,
  },
  bitbucket_data_center: {
    authorize: '/rest/oauth2/latest/authorize',
    token: '/rest/oauth2/latest/token',
    scope: 'REPO_ADMIN',
    hasPkce: true,
    isBasic: false,
  },
  gitea: {
    authorize: '/login/oauth/authorize',
    token: '/login/oauth/access_token',
    scope: 'write:repository read:user',
    hasPkce: true,
    isBasic: false,
  },
};

/** What of a registered application the flow needs; a GitHub App has the same parts. */
export type OauthClientApp = Pick<OauthApp, 'host' | 'baseUrl' | 'clientId' | 'clientSecret'>;

interface Flow {
  readonly app: OauthClientApp;
  readonly redirectUri: string;
  /** Of PKCE: 43 or more characters nobody else knows; null where the way there could not carry a challenge. */
  readonly verifier: string | null;
  readonly state: string;
}

interface TokenCall {
  readonly app: OauthClientApp;
  readonly caCertificate: string | null;
  readonly signal: AbortSignal;
}

/** The OAuth code flow with source hosts (RFC 6749, PKCE where the host takes it). */
export interface SourceOauth {
  /** The consent page. */
  authorizationUrl(flow: Flow): Promise<string>;
  /** Trades the code of the callback for a grant. @throws HostError `refused`, `unreachable`, `blocked` */
  codeExchange(flow: Flow & TokenCall & { readonly answer: URLSearchParams }): Promise<OauthGrant>;
  /** Renews a grant; the old refresh token may be worthless afterwards. @throws HostError as `codeExchange` */
  grantRefresh(call: TokenCall & { readonly grant: OauthGrant }): Promise<OauthGrant>;
}

export interface SourceOauthOptions extends Pick<HostRestOptions, 'openEgress'> {
  readonly clock: () => Date;
}

export function createSourceOauth({ openEgress, clock }: SourceOauthOptions): SourceOauth {
  return {
    async authorizationUrl({ app, redirectUri, verifier, state }) {
      const flow = flowOf(app);
      const url = new URL(`${app.baseUrl}${flow.authorize}`);
      const asked = { response_type: 'code', client_id: app.clientId, redirect_uri: redirectUri, state };
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
      if (flow.scope !== '') url.searchParams.set('scope', flow.scope);
      if (flow.hasPkce && verifier !== null) {
        url.searchParams.set('code_challenge', await oauth.calculatePKCECodeChallenge(verifier));
        url.searchParams.set('code_challenge_method', 'S256');
      }
      return url.href;
    },
    codeExchange: ({ app, redirectUri, verifier, state, answer, ...call }) =>
      tokenCall({ openEgress, ...call, app }, async ({ server, client, auth, options }) => {
        const params = oauth.validateAuthResponse(server, client, answer, state);
        const response = await oauth.authorizationCodeGrantRequest(
          server,
          client,
          auth,
          params,
          redirectUri,
          flowOf(app).hasPkce && verifier !== null ? verifier : oauth.nopkce,
          options,
        );
        return grantOf(await oauth.processAuthorizationCodeResponse(server, client, response), clock());
      }),
    grantRefresh: ({ app, grant, ...call }) =>
      tokenCall({ openEgress, ...call, app }, async ({ server, client, auth, options }) => {
        const old = grant.refreshToken ?? '';
        const response = await oauth.refreshTokenGrantRequest(server, client, auth, old, options);
        const renewed = grantOf(await oauth.processRefreshTokenResponse(server, client, response), clock());
        // A host that does not rotate says none: the old one goes on.
        return { ...renewed, refreshToken: renewed.refreshToken ?? grant.refreshToken };
      }),
  };
}

function flowOf({ host }: OauthClientApp): OauthFlow {
  return flows[host];
}

interface Parties {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly auth: oauth.ClientAuth;
  readonly options: oauth.TokenEndpointRequestOptions;
}

async function tokenCall(
  { openEgress, app, caCertificate, signal }: TokenCall & Pick<HostRestOptions, 'openEgress'>,
  work: (parties: Parties) => Promise<OauthGrant>,
): Promise<OauthGrant> {
  const flow = flowOf(app);
  const egress = openEgress(caCertificate === null ? {} : { ca: caCertificate });
  try {
    return await work({
      server: {
        issuer: app.baseUrl,
        authorization_endpoint: `${app.baseUrl}${flow.authorize}`,
        token_endpoint: `${app.baseUrl}${flow.token}`,
      },
      client: { client_id: app.clientId },
      auth: flow.isBasic ? oauth.ClientSecretBasic(app.clientSecret) : oauth.ClientSecretPost(app.clientSecret),
      // Whether plain http may leave is the guard's to say.
      options: { [oauth.customFetch]: guardedFetch(egress, signal), [oauth.allowInsecureRequests]: true },
    });
  } catch (error) {
    signal.throwIfAborted();
    throw hostErrorOf(error, app);
  } finally {
    await egress.close();
  }
}

type CustomFetch = NonNullable<oauth.TokenEndpointRequestOptions[typeof oauth.customFetch]>;

function guardedFetch(egress: Egress, signal: AbortSignal): CustomFetch {
  return async (url, { body, headers, method }) => {
    const answer = await egress.request({
      method,
      url,
      headers: { ...headers, 'user-agent': 'Slipway' },
      body: body.toString(),
      signal,
      timeoutMs: requestTimeoutMs,
      maxBytes: limits.sourceHostAnswerBytes,
    });
    const isEmpty = answer.status === 204 || answer.status === 304;
    return new Response(isEmpty ? null : new Uint8Array(answer.body), {
      status: answer.status,
      headers: answer.headers,
    });
  };
}

function grantOf(answer: oauth.TokenEndpointResponse, now: Date): OauthGrant {
  const { access_token: accessToken, refresh_token: refreshToken = null, expires_in: seconds } = answer;
  const expiresAt = seconds === undefined ? null : new Date(now.getTime() + seconds * 1000).toISOString();
  return { kind: 'oauth', accessToken, refreshToken, expiresAt };
}

/** What the library says of an answer is the host's refusal; 5xx, a redirect and silence are not. */
function hostErrorOf(error: unknown, { baseUrl }: OauthClientApp): HostError {
  const { host } = new URL(baseUrl);
  if (error instanceof EgressRefused) return new HostError('blocked', error.message, { cause: error });
  const status = statusOf(error);
  const isRefusal =
    error instanceof oauth.ResponseBodyError ||
    error instanceof oauth.AuthorizationResponseError ||
    (error instanceof oauth.OperationProcessingError &&
      (status === null || status === 200 || (status >= 400 && status < 500)));
  if (isRefusal) {
    const text = `${host} refused the authorization. Connect the account again; if it happens again, check the application's client id and secret.`;
    return new HostError('refused', text, { status, cause: error });
  }
  const text = `${host} did not answer as an OAuth server does. Check its address and certificate, and that it can be reached from here.`;
  return new HostError('unreachable', text, { status, cause: error });
}

function statusOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  const { cause } = error;
  return cause instanceof Response ? cause.status : null;
}
