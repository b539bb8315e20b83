import { z } from 'zod';
import { ConfigInvalid } from './config.ts';
import { baseUrlOf, sourceHostNames } from './source.ts';
import type { SourceHost } from './source.ts';

const url = z.url({ protocol: /^https?$/ }).optional();
const text = z.string().min(1);

const oauthApp = z
  .strictObject({ host: z.enum(sourceHostNames).exclude(['git']), baseUrl: url, clientId: text, clientSecret: text })
  .transform((app) => ({ ...app, baseUrl: baseUrlOf(app) }))
  .refine((app) => app.baseUrl !== '', { path: ['baseUrl'], message: 'is needed for this kind of host' });

const githubApp = z
  .strictObject({
    baseUrl: url,
    /** As in the address of its page: `https://github.com/apps/<slug>`. */
    slug: z.string().regex(/^[a-z0-9-]+$/),
    appId: z.union([text, z.int().transform(String)]),
    clientId: text,
    clientSecret: text,
    privateKey: z
      .string()
      .regex(/-----BEGIN (RSA )?PRIVATE KEY-----/, { message: 'must be a private key in PEM form' }),
  })
  .transform((app) => ({ ...app, baseUrl: baseUrlOf({ host: 'github', baseUrl: app.baseUrl }) }));

const sourceAppsSchema = z.strictObject({
  oauth: z.array(oauthApp).default([]),
  githubApps: z.array(githubApp).default([]),
});

/** What an administrator registered with source hosts, so that people can connect them in the browser. */
export type SourceApps = Readonly<z.output<typeof sourceAppsSchema>>;
export type OauthApp = SourceApps['oauth'][number];
export type GithubApp = SourceApps['githubApps'][number];

export const noSourceApps: SourceApps = { oauth: [], githubApps: [] };

/** Reads the file that SLIPWAY_SOURCE_APPS_FILE names. Throws `ConfigInvalid` with every problem. */
export function parseSourceApps(json: string): SourceApps {
  const parsed = sourceAppsSchema.safeParse(jsonOf(json));
  if (parsed.success) return parsed.data;
  throw new ConfigInvalid(
    parsed.error.issues.map(({ path, message }) => `SLIPWAY_SOURCE_APPS_FILE: ${path.join('.')}: ${message}`),
  );
}

function jsonOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new ConfigInvalid(['SLIPWAY_SOURCE_APPS_FILE: the file holds no JSON']);
  }
}

/** The OAuth application registered at a host, if there is one. */
export function findOauthApp(apps: SourceApps, place: { host: SourceHost; baseUrl: string }): OauthApp | undefined {
  return apps.oauth.find(({ host, baseUrl }) => host === place.host && baseUrl === place.baseUrl);
}

/** The GitHub App registered at an address, if there is one. */
export function findGithubApp(apps: SourceApps, place: { host: SourceHost; baseUrl: string }): GithubApp | undefined {
  return place.host === 'github' ? apps.githubApps.find(({ baseUrl }) => baseUrl === place.baseUrl) : undefined;
}
