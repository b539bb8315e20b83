import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { vi } from 'vitest';
import { z } from 'zod';
import { createLoginTokens } from '../../activities/drivers/login-token.ts';
import type { RegistryClient } from '../../activities/drivers/registry.ts';
import { createRegistryTokens } from '../../activities/drivers/registry-token.ts';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import { parseTokenKey } from '../../activities/drivers/token-key.ts';
import type { SourceHostClient } from '../../activities/drivers/source-host.ts';
import { createApp } from '../../api/app.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { createCursors } from '../../api/page.ts';
import { openSecret } from '../../db/repositories/secret.ts';
import { readConfig } from '../../domain/config.ts';
import { noSourceApps } from '../../domain/source-apps.ts';
import { createTestDatabase } from './database.ts';
import { createMemoryObjects } from './memory-objects.ts';
import { storedLogins } from './source-logins.ts';

export const adminToken = 'test-administrator-token';

/** A token key as the file holds it. */
export function newTokenKeyText(): string {
  return JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }));
}

/** The environment of an API on loopback; nothing listens behind these addresses. */
export const testEnvironment: Readonly<Record<string, string>> = {
  SLIPWAY_URL: 'http://127.0.0.1:8080',
  SLIPWAY_POSTGRES_URL: 'postgres://127.0.0.1/none',
  SLIPWAY_TEMPORAL_ADDRESS: '127.0.0.1:7233',
  SLIPWAY_OBJECT_STORE_ENDPOINT: 'http://127.0.0.1:7070',
  SLIPWAY_OBJECT_STORE_ACCESS_KEY: 'access',
  SLIPWAY_OBJECT_STORE_SECRET_KEY: 'secret',
  SLIPWAY_KEY_FILE: '/nowhere/key',
  SLIPWAY_TOKEN_KEY_FILE: '/nowhere/token-key',
  SLIPWAY_ADMIN_TOKEN_FILE: '/nowhere/admin-token',
};

/** Every part of the API but its database: real crypto, a fixed clock, and stand-ins for what lies outside the process. */
export function testDeps({ db, ...overrides }: Partial<ApiDeps> & Pick<ApiDeps, 'db'>): ApiDeps {
  const key = parseTokenKey(newTokenKeyText());
  const secretBox = createSecretBox({ keys: [randomBytes(32)] });
  return {
    db,
    config: readConfig(testEnvironment),
    log: pino({ level: 'silent' }),
    clock: () => new Date('2026-11-21T12:00:00Z'),
    adminTokenHash: createHash('sha256').update(adminToken).digest(),
    secretBox,
    cursors: createCursors(secretBox),
    loginTokens: createLoginTokens({ key, clock: overrides.clock ?? (() => new Date('2026-11-21T12:00:00Z')) }),
    registryTokens: createRegistryTokens({ key, clock: overrides.clock ?? (() => new Date('2026-11-21T12:00:00Z')) }),
    egressPolicy: { allow: ['external', 'loopback'], denied: [], ports: 'any', isHttpAllowed: true },
    resolveHost: vi.fn<ApiDeps['resolveHost']>(async () => ['93.184.216.34']),
    git: {
      refResolve: vi.fn<ApiDeps['git']['refResolve']>(async () => undefined),
      refsList: vi.fn<ApiDeps['git']['refsList']>(async () => []),
      treeList: vi.fn<ApiDeps['git']['treeList']>(async () => []),
      cloneTest: vi.fn<ApiDeps['git']['cloneTest']>(async () => {}),
    },
    sourceHosts: { client: vi.fn<ApiDeps['sourceHosts']['client']>(() => willingHost()) },
    sourceLogins: storedLogins((ref) => openSecret(db, secretBox, ref)),
    sourceOauth: { authorizationUrl: noHostAsked, codeExchange: noHostAsked },
    githubApps: { installationUrl: () => '', installationIsOf: noHostAsked },
    sourceApps: noSourceApps,
    registries: { client: vi.fn<ApiDeps['registries']['client']>(async () => emptyRegistry()) },
    engine: {
      startRun: vi.fn<ApiDeps['engine']['startRun']>(async () => ({ workflowRunId: 'engine-run' })),
      cancelRun: vi.fn<ApiDeps['engine']['cancelRun']>(async () => 'canceling' as const),
      startDelivery: vi.fn<ApiDeps['engine']['startDelivery']>(async () => {}),
      signalCommitStatus: vi.fn<ApiDeps['engine']['signalCommitStatus']>(async () => {}),
      isReachable: vi.fn<ApiDeps['engine']['isReachable']>(async () => true),
      close: vi.fn<ApiDeps['engine']['close']>(async () => {}),
    },
    starter: { start: vi.fn<ApiDeps['starter']['start']>(async () => {}) },
    listener: { on: () => () => {} },
    objectStore: createMemoryObjects(),
    readiness: { degraded: async () => [] },
    stopping: new AbortController().signal,
    ...overrides,
  };
}

const noHostAsked = () => Promise.reject(new Error('no source host is asked in this test'));

/** A source host that takes every credential and every hook. */
function willingHost(): SourceHostClient {
  return {
    credentialCheck: async () => {},
    hookInstall: async () => 'hook-1',
    hookRemove: async () => {},
    statusSet: async () => {},
    deliveries: null,
  };
}

/** A registry that holds nothing; what a test does not expect fails. */
function emptyRegistry(): RegistryClient {
  const unexpected = () => Promise.reject(new Error('not expected of the registry in this test'));
  return {
    host: '127.0.0.1:5000',
    ping: async () => {},
    repositoryHead: unexpected,
    manifestGet: unexpected,
    manifestHead: async () => undefined,
    manifestPut: unexpected,
    manifestDelete: unexpected,
    blobHead: unexpected,
    blobGet: unexpected,
    blobPut: unexpected,
    blobUpload: unexpected,
    blobMount: unexpected,
    tagList: async () => [],
    tagDelete: unexpected,
    referrers: unexpected,
    repositoryList: unexpected,
  };
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** False sends no credential. */
  readonly isLoggedIn?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body as JSON; null when it is empty or something else. */
  readonly body: Readonly<Record<string, unknown>> | null;
}

/** A string of an answer's body by its path: `textAt(answer, 'hook.secret')`. */
export function textAt({ body }: Pick<Answer, 'body'>, path: string): string {
  const value = path.split('.').reduce<unknown>((inner, name) => jsonObject.parse(inner)[name], body);
  return z.string().parse(value);
}

const jsonObject = z.looseObject({});

/**
 * The API over a database of its own, and a function that calls it as the administrator. `wire` puts real parts in place of
 * stand-ins; it is given what they are made of.
 */
export async function createTestApi(
  overrides: Partial<ApiDeps> = {},
  wire: (deps: ApiDeps) => Promise<Partial<ApiDeps>> = async () => ({}),
) {
  const database = await createTestDatabase();
  const standIns = testDeps({ db: database.db, ...overrides });
  const deps = { ...standIns, ...(await wire(standIns)) };
  const app = createApp(deps);

  async function call(
    method: string,
    path: string,
    { body, headers = {}, isLoggedIn = true }: CallOptions = {},
  ): Promise<Answer> {
    const response = await app.request(path, {
      method,
      headers: {
        ...(isLoggedIn ? { authorization: `Bearer ${adminToken}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text.startsWith('{') ? jsonObject.parse(JSON.parse(text)) : null,
    };
  }

  return { app, deps, call, database, close: () => database.close() };
}

/** Creates through the API and answers the new thing's body; a refusal fails the test with the whole problem. */
export async function create(api: Pick<TestApi, 'call'>, path: string, body: unknown): Promise<Answer> {
  const answer = await api.call('POST', path, { body });
  if (answer.status !== 201)
    throw new Error(`POST ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer;
}

export type TestApi = Awaited<ReturnType<typeof createTestApi>>;
