import { createHash } from 'node:crypto';
import type { ApiHost, HostAnswer, HostRequest, HostScript, HostState } from './host-script.ts';

const paths: Readonly<Record<ApiHost, { authorize: string; token: string }>> = {
  github: { authorize: '/login/oauth/authorize', token: '/login/oauth/access_token' },
  gitlab: { authorize: '/oauth/authorize', token: '/oauth/token' },
  gitee: { authorize: '/oauth/authorize', token: '/oauth/token' },
  bitbucket: { authorize: '/site/oauth2/authorize', token: '/site/oauth2/access_token' },
  bitbucket_data_center: { authorize: '/rest/oauth2/latest/authorize', token: '/rest/oauth2/latest/token' },
  gitea: { authorize: '/login/oauth/authorize', token: '/login/oauth/access_token' },
};

/** The token endpoint of a host: codes are traded once, refresh tokens too; GitHub words its refusals with status 200. */
export function oauthScript(host: ApiHost): HostScript {
  return (request, state) => {
    if (request.method !== 'POST' || request.path !== paths[host].token) return undefined;
    const form = new URLSearchParams(request.body);
    const isGranted = hasApp(host, request, { form, state }) && hasGrant(form, state);
    if (!isGranted)
      return { status: host === 'github' ? 200 : 400, body: { error: 'invalid_grant', error_description: 'no' } };
    return granted(host, state);
  };
}

/** What a person does on the consent page: says yes; answers where the browser is sent back to. */
export function consent(host: ApiHost, url: string, state: HostState): URL {
  const page = new URL(url);
  if (page.pathname !== paths[host].authorize) throw new Error(`${page.pathname} is no consent page of ${host}`);
  if (page.searchParams.get('client_id') !== state.app.clientId) throw new Error('unknown application');
  const code = `code-${state.codes.size + 1}`;
  state.codes.set(code, page.searchParams);
  const back = new URL(page.searchParams.get('redirect_uri') ?? '');
  back.searchParams.set('code', code);
  back.searchParams.set('state', page.searchParams.get('state') ?? '');
  return back;
}

function hasApp(
  host: ApiHost,
  { headers }: HostRequest,
  { form, state }: { form: URLSearchParams; state: HostState },
): boolean {
  const { clientId, clientSecret } = state.app;
  // RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
  const login = Buffer.from(headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString('utf8');
  if (host === 'bitbucket') return decodeURIComponent(login) === `${clientId}:${clientSecret}`;
  return form.get('client_id') === clientId && form.get('client_secret') === clientSecret;
}

function hasGrant(form: URLSearchParams, state: HostState): boolean {
  if (form.get('grant_type') === 'refresh_token') return state.refreshTokens.delete(form.get('refresh_token') ?? '');
  const code = form.get('code') ?? '';
  const asked = state.codes.get(code);
  state.codes.delete(code);
  if (asked === undefined || asked.get('redirect_uri') !== form.get('redirect_uri')) return false;
  const challenge = asked.get('code_challenge');
  const verifier = form.get('code_verifier');
  if (challenge === null) return verifier === null || verifier === '';
  return (
    createHash('sha256')
      .update(verifier ?? '')
      .digest('base64url') === challenge
  );
}

function granted(host: ApiHost, state: HostState): HostAnswer {
  if (state.tokenSeconds === undefined)
    return { status: 200, body: { access_token: state.token, token_type: 'bearer', scope: 'repo' } };
  const refreshToken = `refresh-${state.requests.length}`;
  state.refreshTokens.add(refreshToken);
  const times = { expires_in: state.tokenSeconds, refresh_token: refreshToken };
  return {
    status: 200,
    body: { access_token: state.token, token_type: host === 'gitlab' ? 'Bearer' : 'bearer', ...times },
  };
}
