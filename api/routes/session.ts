import { z } from '@hono/zod-openapi';
import type { ApiDeps } from '../deps.ts';
import { closeSession, currentSession, isAdminToken, newLoginCode, openSession, useLoginCode } from '../auth.ts';
import { unauthenticated } from '../errors.ts';
import { json, jsonBody, newRoutes, noContent, route } from '../route.ts';

const sessionSchema = z
  .object({ actor: z.string(), expiresAt: z.iso.datetime() })
  .openapi('Session', { description: 'A console session. It ends 12 h after the last call, or 7 d after login.' });
const example = { actor: 'administrator', expiresAt: '2026-11-22T01:00:00.000Z' };

const loginSchema = z
  .strictObject({ token: z.string().min(1).max(1_024).optional(), code: z.string().min(1).max(128).optional() })
  .refine((login) => (login.token === undefined) !== (login.code === undefined), {
    path: ['token'],
    message: 'Give either "token", the administrator\'s, or "code", from the address Slipway printed.',
  });

const loginCodeSchema = z.object({ url: z.url(), expiresAt: z.iso.datetime() }).openapi('LoginCode');

const createSession = route(
  { action: null, resource: '*', example },
  {
    method: 'post',
    path: '/sessions',
    summary: "Log in: the administrator's token, or a one-time code, becomes the console's cookie",
    request: { body: jsonBody(loginSchema) },
    responses: { 201: json(sessionSchema, 'Logged in; the cookie is set.') },
  },
);

const getSession = route(
  { action: null, resource: '*', example },
  {
    method: 'get',
    path: '/sessions/current',
    summary: 'Who is logged in',
    responses: { 200: json(sessionSchema, 'The session of the cookie.') },
  },
);

const deleteSession = route(
  { action: null, resource: '*', example: null },
  { method: 'delete', path: '/sessions/current', summary: 'Log out', responses: { 204: noContent } },
);

const createLoginCode = route(
  {
    action: 'cr:CreateLoginCode',
    resource: '*',
    example: { url: 'http://127.0.0.1:8080/login?code=…', expiresAt: '2026-11-22T01:00:00.000Z' },
  },
  {
    method: 'post',
    path: '/login-codes',
    summary: 'Make an address that logs in to the console once',
    responses: { 201: json(loginCodeSchema, 'The address, shown once.') },
  },
);

type SessionDeps = Pick<ApiDeps, 'db' | 'config' | 'clock' | 'adminTokenHash'>;

/** Logging in and out (docs/product.md, section 14). `POST /v1/sessions` needs no credential but what its body holds. */
export function sessionRoutes(deps: SessionDeps) {
  return newRoutes('session')
    .openapi(createSession, async (c) => {
      await checkLogin(deps, c.req.valid('json'));
      return c.json(toApiSession(await openSession(deps, c)), 201);
    })
    .openapi(getSession, async (c) => {
      const session = await currentSession(deps, c);
      if (session === undefined) throw unauthenticated('This request carries a token and no session cookie.');
      return c.json(toApiSession(session), 200);
    })
    .openapi(deleteSession, async (c) => {
      await closeSession(deps, c);
      return c.body(null, 204);
    })
    .openapi(createLoginCode, async (c) => {
      const { url, expiresAt } = await newLoginCode(deps);
      return c.json({ url, expiresAt: expiresAt.toISOString() }, 201);
    });
}

async function checkLogin(deps: SessionDeps, login: z.infer<typeof loginSchema>): Promise<void> {
  if (login.code !== undefined) return useLoginCode(deps, login.code);
  if (login.token === undefined || !isAdminToken(deps, login.token))
    throw unauthenticated(
      "This is not the administrator's token. Copy it again from where Slipway keeps it (adminToken in stack.json).",
    );
}

function toApiSession({ actor, expiresAt }: { actor: string; expiresAt: Date }) {
  return { actor, expiresAt: expiresAt.toISOString() };
}
