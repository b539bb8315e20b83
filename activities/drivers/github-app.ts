import { createPrivateKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { z } from 'zod';
import type { GithubApp } from '../../domain/source-apps.ts';
import { githubApi } from './source-host-github.ts';
import { createHostRest } from './source-host-rest.ts';
import type { HostRest, HostRestOptions } from './source-host-rest.ts';

/** A token that acts as an installation; GitHub's live for an hour. */
export interface InstallationToken {
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

interface AppCall {
  readonly app: GithubApp;
  readonly installationId: string;
  readonly caCertificate: string | null;
  readonly signal: AbortSignal;
}

/** GitHub Apps: what an organization installs once, with rights on the repositories it chooses. */
export interface GithubApps {
  /** The page on which somebody chooses where to install it. */
  installationUrl(app: GithubApp, state: string): string;
  /** Whether the person with this token may see the installation: an id of a callback proves nothing. @throws HostError */
  installationIsOf(call: AppCall & { readonly userToken: string }): Promise<boolean>;
  /** @throws HostError */
  installationToken(call: AppCall): Promise<InstallationToken>;
}

const jwtSeconds = 540;
const pageSize = 100;
const maxPages = 10;
const headers = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' };
const installations = z.looseObject({ installations: z.array(z.looseObject({ id: z.number() })) });
const tokenAnswer = z.looseObject({ token: z.string(), expires_at: z.string() });

export function createGithubApps(options: HostRestOptions & { readonly clock: () => Date }): GithubApps {
  const restOf = (
    app: GithubApp,
    { token, caCertificate }: { token: string; caCertificate: string | null },
  ): HostRest =>
    createHostRest(options, { host: 'github', baseUrl: app.baseUrl, caCertificate, secret: { kind: 'token', token } });
  return {
    installationUrl: ({ baseUrl, slug }, state) =>
      `${baseUrl}/apps/${slug}/installations/new?${new URLSearchParams({ state }).toString()}`,
    async installationIsOf({ app, userToken, installationId, caCertificate, signal }) {
      const rest = restOf(app, { token: userToken, caCertificate });
      for (let page = 1; page <= maxPages; page += 1) {
        const url = `${githubApi(app.baseUrl)}/user/installations?per_page=${pageSize}&page=${page}`;
        const found = installations.parse(await rest.call({ method: 'GET', url, headers }, { signal })).installations;
        if (found.some(({ id }) => String(id) === installationId)) return true;
        if (found.length < pageSize) return false;
      }
      return false;
    },
    async installationToken({ app, installationId, caCertificate, signal }) {
      const rest = restOf(app, { token: await appToken(app, options.clock()), caCertificate });
      const url = `${githubApi(app.baseUrl)}/app/installations/${encodeURIComponent(installationId)}/access_tokens`;
      const answer = tokenAnswer.parse(await rest.call({ method: 'POST', url, headers }, { signal }));
      return { token: answer.token, expiresAt: answer.expires_at };
    },
  };
}

/** The App's own proof: RS256, as GitHub wants it, dated back a minute for clocks that differ. */
function appToken({ appId, privateKey }: GithubApp, now: Date): Promise<string> {
  const seconds = Math.floor(now.getTime() / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(appId)
    .setIssuedAt(seconds - 60)
    .setExpirationTime(seconds + jwtSeconds)
    .sign(createPrivateKey(privateKey));
}
