import { z } from '@hono/zod-openapi';
import { getInstance } from '../../db/repositories/instance.ts';
import { sourceAuthorizationSchema } from '../../domain/source.ts';
import type { ApiDeps } from '../deps.ts';
import { instanceParam, json, jsonBody, newRoutes, route } from '../route.ts';
import { beginAuthorization, endAuthorization } from '../source-authorization.ts';

const begin = route(
  {
    action: 'cr:CreateSourceAccount',
    resource: 'instance/{instance}',
    example: { url: 'https://github.com/login/oauth/authorize?…', expiresAt: '2026-11-21T12:10:00.000Z' },
  },
  {
    method: 'post',
    path: '/instances/{instance}/source-accounts/authorizations',
    summary:
      'Begin connecting a source host in the browser: its OAuth consent page, or the installation of a GitHub App',
    request: { params: instanceParam, body: jsonBody(sourceAuthorizationSchema) },
    responses: {
      201: json(
        z.object({ url: z.url(), expiresAt: z.iso.datetime() }),
        'Open this page in the browser you are logged in with; it works once, for ten minutes.',
      ),
    },
  },
);
const callback = route(
  { action: 'cr:CreateSourceAccount', resource: '*', example: null },
  {
    method: 'get',
    path: '/callback',
    summary: 'Where a source host sends the browser back to; leads on to the console',
    request: {
      query: z.looseObject({ state: z.string().max(512).optional(), code: z.string().max(2_048).optional() }),
    },
    responses: { 302: { description: 'Connected; the console shows the source account.' } },
  },
);

type AuthorizationDeps = Pick<
  ApiDeps,
  'db' | 'clock' | 'config' | 'secretBox' | 'egressPolicy' | 'resolveHost' | 'sourceApps' | 'sourceOauth' | 'githubApps'
>;

/** Connecting a source host in the browser (docs/product.md, section 5). */
export function sourceAuthorizationRoutes(deps: AuthorizationDeps) {
  return newRoutes('source').openapi(begin, async (c) => {
    const instance = await getInstance(deps.db, c.req.valid('param').instance);
    const definition = c.req.valid('json');
    const { url, expiresAt } = await beginAuthorization(deps, {
      instanceId: instance.id,
      actor: c.get('actor'),
      definition,
    });
    return c.json({ url, expiresAt: expiresAt.toISOString() }, 201);
  });
}

/** `GET /oauth/callback`; needs the session of the one who began. */
export function oauthCallbackRoutes(deps: AuthorizationDeps) {
  return newRoutes('source').openapi(callback, async (c) => {
    const answer = new URL(c.req.url).searchParams;
    const account = await endAuthorization(deps, { actor: c.get('actor'), answer });
    return c.redirect(`${deps.config.SLIPWAY_URL}/?sourceAccount=${account.id}`, 302);
  });
}
