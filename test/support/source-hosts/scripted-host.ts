import { once } from 'node:events';
import { createServer as createPlainServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { z } from 'zod';
import type { SelfSigned } from '../certificate.ts';
import { bitbucketDataCenterScript } from './bitbucket-data-center.ts';
import { bitbucketScript } from './bitbucket.ts';
import { giteaScript } from './gitea.ts';
import { giteeScript } from './gitee.ts';
import { githubScript } from './github.ts';
import { gitlabScript } from './gitlab.ts';
import type { ApiHost, HostAnswer, HostRequest, HostScript, HostState } from './host-script.ts';
import { oauthScript } from './oauth.ts';

const scripts: Readonly<Record<ApiHost, HostScript>> = {
  github: githubScript,
  gitlab: gitlabScript,
  gitee: giteeScript,
  bitbucket: bitbucketScript,
  bitbucket_data_center: bitbucketDataCenterScript,
  gitea: giteaScript,
};

export interface ScriptedHost {
  /** Base address, without a trailing slash. */
  readonly url: string;
  readonly state: HostState;
  close(): Promise<void>;
}

/**
 * Starts one host's API as its public documentation describes it; the code repository is always `acme/web`. With `gitUrl` a real git
 * server stands behind its clone addresses.
 */
export async function startScriptedHost(
  host: ApiHost,
  { certificate, gitUrl }: { certificate?: SelfSigned; gitUrl?: string } = {},
): Promise<ScriptedHost> {
  const state = newState();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    if (gitUrl !== undefined && /\.git\//.test(request.url ?? '')) {
      forward(request, response, gitUrl);
      return;
    }
    void answerTo(host, state, request).then(({ status, body, headers }) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body));
    });
  };
  const server =
    certificate === undefined
      ? createPlainServer(answer)
      : createTlsServer({ key: certificate.key, cert: certificate.certificate }, answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    state,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function forward(request: IncomingMessage, response: ServerResponse, gitUrl: string): void {
  const { method, headers } = request;
  const url = new URL((request.url ?? '/').replace(/^\/scm\//, '/'), gitUrl);
  const forwarded = httpRequest(url, { method: method ?? 'GET', headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  forwarded.once('error', () => response.destroy());
  request.pipe(forwarded);
}

function newState(): HostState {
  return {
    token: 'canary-host-token',
    mayHook: true,
    maySetStatus: true,
    hooks: [],
    statuses: [],
    requests: [],
    fault: null,
    app: { clientId: 'client-1', clientSecret: 'canary-client-secret' },
    codes: new Map(),
    refreshTokens: new Set(),
    installations: [],
    tokenSeconds: undefined,
  };
}

async function answerTo(host: ApiHost, state: HostState, message: IncomingMessage): Promise<HostAnswer> {
  const url = new URL(message.url ?? '/', 'http://host');
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(z.instanceof(Buffer).parse(chunk));
  const request: HostRequest = {
    method: message.method ?? 'GET',
    path: decodeURIComponent(url.pathname),
    query: url.searchParams,
    headers: message.headers,
    body: Buffer.concat(chunks).toString('utf8'),
  };
  state.requests.push(request);
  if (state.fault !== null) return state.fault;
  return (
    oauthScript(host)(request, state) ??
    unauthorized(request, state) ??
    scripts[host](request, state) ?? { status: 404, body: { message: 'Not Found' } }
  );
}

function unauthorized({ headers }: HostRequest, { token }: HostState): HostAnswer | undefined {
  const { authorization } = headers;
  const isLogin = authorization === `Basic ${Buffer.from(`ci:${token}`).toString('base64')}`;
  // A GitHub App proves itself by a JWT, which the test looks at.
  const isApp = authorization?.startsWith('Bearer eyJ') === true;
  if (authorization === `Bearer ${token}` || isLogin || isApp) return undefined;
  return { status: 401, body: { message: `Bad credentials ${authorization ?? ''}` } };
}
