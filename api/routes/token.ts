import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { findInstance, getInstance } from '../../db/repositories/instance.ts';
import { limits } from '../../domain/limits.ts';
import { parseScopes } from '../../domain/registry-scope.ts';
import { isAdminToken } from '../auth.ts';
import type { ApiDeps } from '../deps.ts';
import type { ApiEnv } from '../env.ts';
import { grantScopes } from '../registry-access.ts';
import type { RegistryCaller } from '../registry-access.ts';
import { instanceParam, json, newRoutes, optionalJsonBody, route } from '../route.ts';

const lifetimeText = `A login token lives ${limits.loginTokenMinHours} to ${limits.loginTokenMaxHours} hours.`;
const tokenRequest = z.strictObject({
  lifetimeHours: z
    .number()
    .default(limits.loginTokenMinHours)
    .refine((hours) => hours >= limits.loginTokenMinHours && hours <= limits.loginTokenMaxHours, {
      message: lifetimeText,
      params: { code: 'token.lifetime_invalid' },
    }),
});
const tokenAnswer = z
  .object({ username: z.string(), token: z.string(), expiresAt: z.iso.datetime() })
  .openapi('AuthorizationToken', { description: 'User name and password for docker login.' });

const createToken = route(
  {
    action: 'cr:GetAuthorizationToken',
    resource: 'instance/{instance}',
    example: { username: 'administrator', token: 'eyJhbGciOiJFUzI1NiIs…', expiresAt: '2026-11-21T13:00:00.000Z' },
  },
  {
    method: 'post',
    path: '/instances/{instance}/authorization-tokens',
    summary: 'Make a temporary password for docker login at an instance',
    request: { params: instanceParam, body: optionalJsonBody(tokenRequest) },
    responses: { 201: json(tokenAnswer, 'The login, shown this once.') },
  },
);

type LoginTokenDeps = Pick<ApiDeps, 'db' | 'clock' | 'loginTokens'>;

/** Temporary logins (docs/product.md, section 2, "Credentials"). */
export function authorizationTokenRoutes({ db, clock, loginTokens }: LoginTokenDeps) {
  return newRoutes('token').openapi(createToken, async (c) => {
    const instance = await getInstance(db, c.req.valid('param').instance);
    const ttlSeconds = Math.round((c.req.valid('json').lifetimeHours ?? limits.loginTokenMinHours) * 3_600);
    const username = c.get('actor');
    const token = await loginTokens.sign({
      subject: username,
      instance: instance.name,
      access: [{ repository: '*', actions: ['pull', 'push', 'delete'] }],
      ttlSeconds,
    });
    return c.json({ username, token, expiresAt: new Date(clock().getTime() + ttlSeconds * 1000).toISOString() }, 201);
  });
}

type TokenServiceDeps = Pick<ApiDeps, 'db' | 'adminTokenHash' | 'loginTokens' | 'registryTokens'>;

interface TokenRequest {
  readonly service: string;
  readonly scopes: readonly string[];
  readonly username: string;
  /** undefined: asked without a login. */
  readonly password: string | undefined;
}

const tokenBodyBytes = 64 * 1024;

/**
 * The docker token service of every managed instance: `service` is the instance's name. Answers in the form registry clients
 * read; a login that does not hold is 401, a scope that is too wide is answered with less (docs/product.md, section 2).
 */
export function tokenServiceRoutes(deps: TokenServiceDeps) {
  return new OpenAPIHono<ApiEnv>()
    .use('/token', bodyLimit({ maxSize: tokenBodyBytes }))
    .get('/token', (c) => answerToken(deps, c, readQuery(c)))
    .post('/token', async (c) => answerToken(deps, c, readForm(await c.req.parseBody({ all: true }))));
}

function readQuery(c: Context): TokenRequest {
  const [username, password] = basicLogin(c.req.header('authorization'));
  return {
    service: c.req.query('service') ?? '',
    scopes: c.req.queries('scope') ?? [],
    username: username ?? c.req.query('account') ?? '',
    password,
  };
}

/** OAuth 2 form of the same request, as `docker` sends it when it holds no refresh token. */
function readForm(form: Readonly<Record<string, unknown>>): TokenRequest {
  const text = (name: string) => (typeof form[name] === 'string' ? form[name] : '');
  const scope = form['scope'];
  const scopes = (Array.isArray(scope) ? scope : [scope]).filter((each) => typeof each === 'string');
  return { service: text('service'), scopes, username: text('username'), password: text('password') };
}

function basicLogin(header: string | undefined): [string?, string?] {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return header === undefined ? [] : ['', ''];
  const [username = '', ...password] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return [username, password.join(':')];
}

async function answerToken(deps: TokenServiceDeps, c: Context<ApiEnv>, request: TokenRequest): Promise<Response> {
  const instance = await findInstance(deps.db, request.service);
  if (instance === undefined || instance.kind !== 'managed' || instance.name !== request.service)
    return ociError(c, {
      status: 400,
      code: 'UNSUPPORTED',
      message: `There is no instance "${request.service}" with a token service. "service" must be an instance's name.`,
    });
  const caller = await identify(deps, instance.name, request);
  if (caller === undefined) {
    c.header('www-authenticate', 'Basic realm="slipway"');
    return ociError(c, {
      status: 401,
      code: 'UNAUTHORIZED',
      message:
        'This login does not hold: it is wrong, has ended, or is for another instance. Make a new authorization token and log in with it.',
    });
  }
  const access = await grantScopes(deps.db, instance.id, { caller, scopes: parseScopes(request.scopes) });
  const { token, expiresInSeconds, issuedAt } = await deps.registryTokens.sign({
    subject: subjectOf(caller),
    service: instance.name,
    access,
  });
  return c.json({ token, access_token: token, expires_in: expiresInSeconds, issued_at: issuedAt.toISOString() }, 200);
}

/** Any user name does: the password says who it is. */
async function identify(
  deps: TokenServiceDeps,
  instance: string,
  { password }: TokenRequest,
): Promise<RegistryCaller | undefined> {
  if (password === undefined) return { kind: 'anonymous' };
  if (isAdminToken(deps, password)) return { kind: 'administrator' };
  const grant = await deps.loginTokens.verify(password);
  if (grant === undefined || (grant.instance !== undefined && grant.instance !== instance)) return undefined;
  return { kind: 'login', subject: grant.subject, access: grant.access };
}

function subjectOf(caller: RegistryCaller): string {
  return caller.kind === 'login' ? caller.subject : caller.kind;
}

function ociError(
  c: Context<ApiEnv>,
  { status, code, message }: { status: 400 | 401; code: string; message: string },
): Response {
  return c.json({ errors: [{ code, message, detail: null }] }, status);
}
