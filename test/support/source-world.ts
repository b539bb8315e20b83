import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGit } from '../../activities/drivers/git.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { readConfig } from '../../domain/config.ts';
import { gitLogin } from '../../domain/source-credential.ts';
import { startGitServer } from '../../stack/git-server.ts';
import { wireSourceAccess } from '../../worker/source-access.ts';
import { createInstance, createNamespace } from './api-world.ts';
import { createTestApi, testEnvironment } from './api.ts';
import type { TestApi } from './api.ts';
import { createGitRoot } from './git-repository.ts';
import type { GitRepository } from './git-repository.ts';
import type { ApiHost } from './source-hosts/host-script.ts';
import { startScriptedHost } from './source-hosts/scripted-host.ts';
import type { ScriptedHost } from './source-hosts/scripted-host.ts';

/** The API with everything that speaks to source hosts real, one scripted host, and a real git server behind it. */
export interface SourceWorld {
  readonly api: TestApi;
  readonly host: ScriptedHost;
  /** `acme/web` of the host. */
  readonly code: GitRepository;
  /** Of the instance `hangzhou`. */
  readonly namespaceId: string;
  /** What the API takes for now; tests move it on. */
  now: Date;
  close(): Promise<void>;
}

/** Makes one; `hasApps` registers an OAuth application and a GitHub App with the host. */
export async function createSourceWorld(
  host: ApiHost,
  { hasApps = false, overrides = {} }: { hasApps?: boolean; overrides?: Partial<ApiDeps> } = {},
): Promise<SourceWorld> {
  const root = await createGitRoot();
  const code = await root.repository('acme/web');
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  const login = gitLogin(host, { kind: 'token', token: 'canary-host-token' });
  const server = await startGitServer({ root: root.root, path, login });
  const scripted = await startScriptedHost(host, { gitUrl: server.url });
  const folder = await mkdtemp(join(tmpdir(), 'slipway-apps-'));
  const appsFile = join(folder, 'apps.json');
  await writeFile(appsFile, JSON.stringify(hasApps ? appsOf(host, scripted) : {}));
  const config = readConfig({
    ...testEnvironment,
    SLIPWAY_EGRESS_ALLOW: 'loopback',
    SLIPWAY_EGRESS_PORTS: 'any',
    SLIPWAY_EGRESS_HTTP: 'true',
    SLIPWAY_SOURCE_APPS_FILE: appsFile,
  });
  const world = { now: new Date('2026-11-21T12:00:00Z') };
  const clock = () => world.now;
  const git = createGit({ path, isHttpAllowed: true });
  const api = await createTestApi({ config, clock, git, ...overrides }, ({ db, secretBox }) =>
    wireSourceAccess(config, { db, secretBox, clock }),
  );
  await createInstance(api, 'hangzhou');
  const namespaceId = await createNamespace(api, 'hangzhou', 'shop');
  return Object.assign(world, {
    api,
    host: scripted,
    code,
    namespaceId,
    close: async () => {
      await api.close();
      await scripted.close();
      await server.close();
      await root.remove();
      await rm(folder, { recursive: true, force: true });
    },
  });
}

function appsOf(host: ApiHost, { url, state }: ScriptedHost) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const githubApp = {
    baseUrl: url,
    slug: 'slipway',
    appId: 42,
    ...state.app,
    privateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
  };
  return {
    oauth: [{ host, baseUrl: url, ...state.app }],
    githubApps: host === 'github' ? [githubApp] : [],
  };
}
