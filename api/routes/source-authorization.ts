import { z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { getInstance } from '../../db/repositories/instance.ts';
import { AppError } from '../../domain/errors.ts';
import { authorizationRefusals, sourceAuthorizationSchema, sourceHostNames } from '../../domain/source.ts';
import type { AuthorizationRefusal } from '../../domain/source.ts';
import type { ApiDeps } from '../deps.ts';
import type { ApiEnv } from '../env.ts';
import { instanceParam, json, jsonBody, newRoutes, route } from '../route.ts';
import { beginAuthorization, endAuthorization, listAuthorizations } from '../source-authorization.ts';

const authorizationAnswer = z
  .object({
    host: z.enum(sourceHostNames),
    baseUrl: z.url(),
    flow: z.enum(['oauth', 'app']).openapi({ description: 'By OAuth, or by installing a GitHub App.' }),
  })
  .openapi('SourceAuthorization');
const list = route(
  {
    action: 'cr:CreateSourceAccount',
    resource: 'instance/{instance}',
    example: { items: [{ host: 'github', baseUrl: 'https://github.com', flow: 'app' }], nextCursor: null },
  },
  {
    method: 'get',
    path: '/instances/{instance}/source-accounts/authorizations',
    summary: 'The source hosts that can be connected in the browser, as an application is registered with them',
    request: { params: instanceParam },
    responses: {
      200: json(z.object({ items: z.array(authorizationAnswer), nextCursor: z.null() }), 'GitHub Apps, then OAuth.'),
    },
  },
);
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
    summary: 'Where a source host sends the browser back to; leads on to the console, with what came of it',
    request: {
      query: z.looseObject({ state: z.string().max(512).optional(), code: z.string().max(2_048).optional() }),
    },
    responses: {
      302: {
        description:
          'Connected: the console shows the source account. Refused: a browser is led to the console too, which says why; others get the problem.',
      },
    },
  },
);

type AuthorizationDeps = Pick<
  ApiDeps,
  'db' | 'clock' | 'config' | 'secretBox' | 'egressPolicy' | 'resolveHost' | 'sourceApps' | 'sourceOauth' | 'githubApps'
>;

/** Connecting a source host in the browser (docs/product.md, section 5). */
export function sourceAuthorizationRoutes(deps: AuthorizationDeps) {
  return newRoutes('source')
    .openapi(list, async (c) => {
      await getInstance(deps.db, c.req.valid('param').instance);
      return c.json({ items: [...listAuthorizations(deps.sourceApps)], nextCursor: null }, 200);
    })
    .openapi(begin, async (c) => {
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
    const { name: instance } = await getInstance(deps.db, account.instance_id);
    return c.redirect(accountsPage(deps, { instance, sourceAccount: account.id }), 302);
  });
}

/** What goes wrong on the way back is told on the console's page: the browser stands there, and nobody reads problems in JSON. */
export function oauthCallbackRefusals({ config }: Pick<ApiDeps, 'config'>): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await next();
    if (c.error === undefined || !(c.req.header('accept') ?? '').includes('text/html')) return;
    const location = accountsPage({ config }, { refused: refusalOf(c.error) });
    // Without this the problem's own headers would stay.
    c.res = undefined;
    c.res = new Response(null, { status: 302, headers: { location } });
  };
}

function refusalOf(error: Error): AuthorizationRefusal {
  if (!(error instanceof AppError)) return 'failed';
  if (error.status === 401) return 'signed_out';
  if (error.code === 'source.not_reachable') return 'not_reachable';
  if (error.code === 'source.authorization_unavailable') return 'unavailable';
  return authorizationRefusals.find((reason) => reason === error.extra['reason']) ?? 'failed';
}

function accountsPage({ config }: Pick<ApiDeps, 'config'>, search: Readonly<Record<string, string>>): string {
  return `${config.SLIPWAY_URL}/source-accounts?${new URLSearchParams(search).toString()}`;
}
