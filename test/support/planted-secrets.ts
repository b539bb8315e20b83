import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { openRunScan } from '../../db/repositories/scan.ts';
import { newUuid } from '../../db/new-id.ts';
import { insertDelivery } from '../../db/repositories/delivery-read.ts';
import { insertSecret } from '../../db/repositories/secret.ts';
import { readConfig } from '../../domain/config.ts';
import type { SourceApps } from '../../domain/source-apps.ts';
import { adminToken, create, testEnvironment, textAt } from './api.ts';
import { createInstance, createNamespace, createSourceAccount } from './api-world.ts';
import { createInboxWorld } from './inbox-world.ts';
import { githubPush } from './source-push.ts';

/** Every kind of secret an installation has, by what it is. */
function newCanaries() {
  const canary = () => `canary-${randomBytes(15).toString('base64url')}`;
  return {
    'login of a registry': canary(),
    'password of a source account': canary(),
    'token of a source account': canary(),
    'access token of an OAuth grant': canary(),
    'refresh token of an OAuth grant': canary(),
    'client secret of an OAuth application': canary(),
    'build secret': canary(),
    'query of a trigger': canary(),
    'header of a trigger': canary(),
    'key of the object store': canary(),
    'password of the database': canary(),
    'administrator token': adminToken,
  };
}

/** A secret as it stands, and in the forms it could leak in. */
function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  // Within longer base64 text it may begin at any of three places.
  const base64 = [0, 1, 2].map((start) => {
    const text = Buffer.concat([Buffer.alloc(start, 'x'), bytes]).toString('base64');
    return text.slice(start === 0 ? 0 : start + 1, text.length - 4);
  });
  return [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), bytes.toString('hex'), ...base64];
}

/** An API that holds a secret of every kind, something of everything that can be read, and what it logs. */
export async function plantSecrets() {
  const planted: Record<string, string> = newCanaries();
  const logged: string[] = [];
  const log = pino(
    { level: 'trace' },
    new Writable({ write: (chunk, _encoding, done) => (logged.push(String(chunk)), done()) }),
  );
  const config = readConfig({
    ...testEnvironment,
    SLIPWAY_POSTGRES_URL: `postgres://slipway:${planted['password of the database']}@127.0.0.1/none`,
    SLIPWAY_OBJECT_STORE_SECRET_KEY: planted['key of the object store'] ?? '',
  });
  const baseUrl = 'https://github.com';
  const clientSecret = planted['client secret of an OAuth application'] ?? '';
  const oauth: SourceApps['oauth'] = [{ host: 'github', baseUrl, clientId: 'client', clientSecret }];
  const sourceApps: SourceApps = { oauth, githubApps: [] };
  const world = await createInboxWorld({ log, config, sourceApps });
  const { db, secretBox } = world.deps;
  const remember = (what: string, secret: string) => (planted[what] = secret);

  await createInstance(world, 'hangzhou');
  await create(world, '/v1/instances', {
    name: 'backup',
    region: 'eu-central-1',
    kind: 'external',
    registryUrl: 'https://registry.example.com',
    credentials: { username: 'robot', password: planted['login of a registry'] },
  });
  const namespaceId = await createNamespace(world, 'hangzhou', 'shop');
  const login = await createSourceAccount(world, 'hangzhou', {
    credential: { username: 'ada', password: planted['password of a source account'] },
  });
  const account = await createSourceAccount(world, 'hangzhou', {
    ...{ host: 'github', baseUrl },
    credential: { token: planted['token of a source account'] },
  });
  const granted = await createSourceAccount(world, 'hangzhou', { host: 'gitee', baseUrl: 'https://gitee.com' });
  const grant = {
    kind: 'oauth',
    accessToken: planted['access token of an OAuth grant'],
    refreshToken: planted['refresh token of an OAuth grant'],
    expiresAt: null,
  };
  const grantRef = await insertSecret(db, secretBox, {
    ownerId: namespaceId,
    kind: 'source',
    value: JSON.stringify(grant),
  });
  await db
    .updateTable('source_account')
    .set({ credential_ref: grantRef, credential_kind: 'oauth' })
    .where('id', '=', granted)
    .execute();
  await create(world, `/v1/namespaces/${namespaceId}/secrets`, { name: 'npm-token', value: planted['build secret'] });

  const chain = await create(world, '/v1/instances/hangzhou/chains', { name: 'main', nodes: { build: {}, scan: {} } });
  const replicationRule = await create(world, '/v1/instances/hangzhou/replication-rules', {
    name: 'to-backup',
    level: 'namespace',
    source: { namespace: 'shop' },
    destination: { region: 'eu-central-1', instance: 'backup' },
  });
  const repository = await create(world, `/v1/namespaces/${namespaceId}/repositories`, {
    name: 'web',
    codeSource: { sourceAccount: account, codeNamespace: 'acme', codeRepository: 'web' },
    buildRules: [
      {
        ref: { type: 'branch', name: 'main' },
        imageTags: [{ template: 'latest' }],
        secrets: [{ id: 'npm', secretRef: 'npm-token' }],
      },
    ],
  });
  const repositoryId = textAt(repository, 'id');
  const hook = { path: new URL(textAt(repository, 'hook.url')).pathname, secret: textAt(repository, 'hook.secret') };
  remember('secret of a webhook', hook.secret);
  const rotatedHook = await world.call('POST', `/v1/repositories/${repositoryId}/source-binding/rotate-secret`);
  remember('secret of a webhook, rotated', textAt(rotatedHook, 'secret'));

  const trigger = await create(world, `/v1/repositories/${repositoryId}/triggers`, {
    name: 'deploy',
    url: `https://deploy.example.com/hook?key=${planted['query of a trigger']}`,
    headers: [{ name: 'Authorization', value: `Bearer ${planted['header of a trigger']}` }],
  });
  const triggerId = textAt(trigger, 'id');
  remember('secret of a trigger', textAt(trigger, 'secret'));
  const rotated = await world.call('POST', `/v1/triggers/${triggerId}/rotate-secret`);
  remember('secret of a trigger, rotated', textAt(rotated, 'secret'));

  const delivery = githubPush(hook.secret, { repository: { full_name: 'acme/web', fork: false } });
  const accepted = await world.call('POST', hook.path, { ...delivery, isLoggedIn: false });
  await world.dispatchAll();
  const [run] = await world.runsOf({ id: repositoryId });
  if (run === undefined) throw new Error(`The push came to no run: ${JSON.stringify(accepted)}`);
  const at = world.clock();
  const digest = `sha256:${'d'.repeat(64)}`;
  const runId = run.id;
  const scanId = await openRunScan(db, { runId, attempt: 1, repositoryId, digest, engine: 'trivy', at });
  const deliveryId = newUuid(at);
  await insertDelivery(db, {
    ...{ id: deliveryId, trigger_id: triggerId, run_id: runId, webhook_id: 'msg_1', event: 'image.updated', tag: 'v1' },
    ...{ digest, body: '{}', status: 'waiting', reason: JSON.stringify(null), next_attempt_at: at },
    ...{ created_at: at, ended_at: null },
  });

  const code = await world.call('POST', '/v1/login-codes');
  remember(
    'code of a login',
    new URL(textAt(code, 'url')).hash.slice(1) || new URL(textAt(code, 'url')).search.slice(1),
  );
  const session = await world.call('POST', '/v1/sessions', { body: { token: adminToken }, isLoggedIn: false });
  const sessionCookie = /sid=([^;]+)/.exec(session.headers.get('set-cookie') ?? '')?.[1] ?? '';
  remember('cookie of a session', sessionCookie);
  const docker = await world.call('POST', '/v1/instances/hangzhou/authorization-tokens', { body: {} });
  remember('login token of a registry', textAt(docker, 'token'));

  const short = Object.entries(planted).filter(([, secret]) => secret.length < 16);
  if (short.length > 0) throw new Error(`no secrets: ${short.map(([what]) => what).join(', ')}`);
  const forms = Object.entries(planted).map(([what, secret]) => [what, formsOf(secret)] as const);
  return {
    ...world,
    planted,
    logged,
    sessionCookie,
    /** What the engine was given to start. */
    started: JSON.stringify(world.engine.startRun.mock.calls),
    hook,
    /** What stands in the text of the planted secrets. */
    leaksIn: (text: string) =>
      forms.filter(([, each]) => each.some((form) => text.includes(form))).map(([what]) => what),
    /** An id of everything there is, by the part of a path before it. */
    ids: {
      'base-images': 'none',
      'build-rules': textAt({ body: { id: firstOf(repository.body?.['buildRules']) } }, 'id'),
      builds: run.build_id ?? '',
      chains: textAt(chain, 'id'),
      deliveries: deliveryId,
      instances: 'hangzhou',
      namespaces: namespaceId,
      'replication-rules': textAt(replicationRule, 'id'),
      'replication-tasks': 'none',
      repositories: repositoryId,
      runs: runId,
      scans: scanId,
      'source-accounts': login,
      tags: 'latest',
      triggers: triggerId,
    } satisfies Record<string, string>,
    accounts: { login, account, granted },
    triggerId,
  };
}

export type PlantedWorld = Awaited<ReturnType<typeof plantSecrets>>;

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined;
}
