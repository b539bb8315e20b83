import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { searchAttributes } from '../workflows/search-attributes.ts';
import { buildkitAddress, buildkitPart } from './buildkit.ts';
import type { Program } from './child.ts';
import { consoleFolder } from './console.ts';
import type { Keys } from './keys.ts';
import { bucket, objectStorePart } from './object-store.ts';
import type { Ports } from './ports.ts';
import { postgresPart, postgresUrl } from './postgres.ts';
import { registryPart } from './registry.ts';
import { type ObjectStoreAccess, rootFolder, type StackSettings } from './settings.ts';
import { stopStrays } from './sweep.ts';
import type { Part } from './supervisor.ts';
import {
  isTemporalServing,
  settleTemporal,
  temporalDatabaseFile,
  temporalNamespace,
  temporalServer,
} from './temporal.ts';
import { acceptsTcp, answersHttp } from './wait.ts';

/** Paths of the compiled programs the stack runs. */
export interface StackTools {
  readonly registry: string;
  readonly versitygw: string;
  readonly buildkitd: string;
  readonly buildctl: string;
  readonly temporal: string;
  readonly vulndb: string;
  readonly trivy: string;
}

export interface PartsContext {
  readonly settings: StackSettings;
  readonly ports: Ports;
  readonly keys: Keys;
  readonly tools: StackTools;
}

/** The managed instances of the stack and where they are. */
export const managedInstances = [
  { name: 'hangzhou', region: 'cn-hangzhou' },
  { name: 'singapore', region: 'ap-southeast-1' },
] as const;

/** Where everything is, whether the stack starts it or it was named from outside. */
export interface Addresses {
  readonly url: string;
  /** The same server by name: Trivy refuses to log in at an IP address of a private network. */
  readonly tokenUrl: string;
  readonly postgresUrl: string;
  readonly temporalAddress: string;
  /** null: an outside server, whose interface we do not know. */
  readonly temporalUiUrl: string | null;
  readonly objectStore: ObjectStoreAccess;
  /** null: every namespace has a daemon of its own, which the worker starts. */
  readonly buildkitAddress: string | null;
  readonly receiverUrl: string;
  readonly gitUrl: string;
}

export function addressesOf({ settings, ports, keys }: Omit<PartsContext, 'tools'>): Addresses {
  const { outside, home } = settings;
  return {
    url: loopback(ports.api),
    tokenUrl: `http://localhost:${ports.api}`,
    postgresUrl: outside.postgresUrl ?? postgresUrl({ port: ports.postgres, password: keys.passwords.postgres }),
    temporalAddress: outside.temporalAddress ?? `127.0.0.1:${ports.temporal}`,
    temporalUiUrl: outside.temporalAddress === undefined ? loopback(ports.temporalUi) : null,
    objectStore: outside.objectStore ?? {
      endpoint: loopback(ports.objectStore),
      bucket,
      accessKey: keys.passwords.objectStoreAccessKey,
      secretKey: keys.passwords.objectStoreSecretKey,
    },
    buildkitAddress:
      settings.buildIsolation === 'namespace' ? null : (outside.buildkitAddress ?? buildkitAddress(buildFolder(home))),
    receiverUrl: loopback(ports.receiver),
    gitUrl: loopback(ports.gitServer),
  };
}

/** What build daemons keep, one of them or many. */
function buildFolder(home: string): string {
  return join(home, 'buildkit');
}

function loopback(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** The parts that need nobody else; those named from outside are left out. */
export async function outerParts(
  context: PartsContext,
): Promise<{ readonly postgres: Part | undefined; readonly others: readonly Part[] }> {
  const { settings, ports, keys, tools } = context;
  const { outside, home } = settings;
  const { tokenUrl } = addressesOf(context);
  const parts: Part[] = [];
  const dataDir = join(home, 'postgres');
  const database = { dataDir, port: ports.postgres, password: keys.passwords.postgres, isDurable: true };
  const postgres = outside.postgresUrl === undefined ? await postgresPart(database) : undefined;
  if (outside.temporalAddress === undefined) parts.push(temporalPart(context));
  if (outside.objectStore === undefined) {
    const { objectStoreAccessKey: accessKey, objectStoreSecretKey: secretKey } = keys.passwords;
    const folder = join(home, 'objects');
    parts.push(objectStorePart({ binary: tools.versitygw, folder, port: ports.objectStore, accessKey, secretKey }));
  }
  for (const { name } of managedInstances) {
    parts.push(
      registryPart({
        name,
        binary: tools.registry,
        folder: join(home, 'registries', name),
        port: ports[name],
        realm: `${tokenUrl}/auth/token`,
        jwksFile: keys.files.jwks,
        httpSecret: keys.passwords.registryHttp,
      }),
    );
  }
  if (settings.buildIsolation === 'shared' && outside.buildkitAddress === undefined) {
    const { buildkitd, buildctl } = tools;
    const registries = [`127.0.0.1:${ports.hangzhou}`, `127.0.0.1:${ports.singapore}`] as const;
    parts.push(buildkitPart({ buildkitd, buildctl, folder: buildFolder(home), registries: [...registries] }));
  }
  return { postgres, others: [...parts, ...sampleParts(context)] };
}

function temporalPart({ settings, ports, tools }: PartsContext): Part {
  const databaseFile = temporalDatabaseFile(settings.home);
  return {
    name: 'temporal',
    program: temporalServer({ binary: tools.temporal, ports, databaseFile, isDurable: true }),
    prepare: async () => {
      await mkdir(join(databaseFile, '..'), { recursive: true });
    },
    isReady: async () => {
      if (!(await isTemporalServing(tools.temporal, ports.temporal))) return false;
      const attributes = Object.values(searchAttributes);
      await settleTemporal(tools.temporal, { port: ports.temporal, searchAttributes: attributes });
      return true;
    },
    readyWithinMs: 60_000,
    stopWithinMs: 10_000,
  };
}

function sampleParts({ settings, ports, keys }: PartsContext): Part[] {
  const git = ['--port', `${ports.gitServer}`, '--folder', join(settings.home, 'git')];
  const receiver = ['--port', `${ports.receiver}`, '--file', join(settings.home, 'receiver', 'calls.jsonl')];
  return [
    {
      name: 'git-server',
      program: nodeProgram('stack/sample-git.ts', { args: git, env: { SLIPWAY_GIT_PASSWORD: keys.passwords.git } }),
      isReady: () => acceptsTcp(ports.gitServer),
      readyWithinMs: 20_000,
      stopWithinMs: 5_000,
    },
    {
      name: 'receiver',
      program: nodeProgram('stack/receiver.ts', { args: receiver }),
      isReady: () => answersHttp(loopback(ports.receiver)),
      readyWithinMs: 20_000,
      stopWithinMs: 5_000,
    },
  ];
}

/** The API; needs a migrated database and nothing else. */
export function apiPart(context: PartsContext): Part {
  return {
    name: 'api',
    program: nodeProgram('api/server.ts', { env: serviceEnvironment(context) }),
    isReady: () => answersHttp(`${addressesOf(context).url}/readyz`),
    readyWithinMs: 60_000,
    stopWithinMs: 10_000,
  };
}

/** The worker, in all roles. */
export function workerPart(context: PartsContext): Part {
  const { settings, tools } = context;
  const workDir = join(settings.home, 'work');
  const { buildkitAddress: address } = addressesOf(context);
  const env = {
    ...serviceEnvironment(context),
    SLIPWAY_BUILD_REGIONS: managedInstances.map(({ region }) => region).join(','),
    SLIPWAY_BUILD_ISOLATION: settings.buildIsolation,
    SLIPWAY_BUILD_DIR: buildFolder(settings.home),
    ...(address === null ? {} : { SLIPWAY_BUILDKIT_ADDRESS: address }),
    SLIPWAY_TRIVY_CACHE_DIR: join(settings.home, 'trivy'),
    SLIPWAY_WORK_DIR: workDir,
    SLIPWAY_TOOL_TRIVY: tools.trivy,
    SLIPWAY_TOOL_BUILDCTL: tools.buildctl,
    SLIPWAY_TOOL_BUILDKITD: tools.buildkitd,
  };
  return {
    name: 'worker',
    program: nodeProgram('worker/main.ts', { env }),
    prepare: async () => {
      await mkdir(workDir, { recursive: true, mode: 0o700 });
    },
    isReady: async (written) => (await written()).includes('"worker started"'),
    readyWithinMs: 120_000,
    // A build that does not end in this time goes on after the next start.
    stopWithinMs: 20_000,
    cleanUp: () => stopStrays({ workDir }),
  };
}

/** The configuration the API and the worker share; what the user's environment says beyond the stack's own wiring holds. */
function serviceEnvironment(context: PartsContext): Record<string, string> {
  const { settings, ports, keys } = context;
  const addresses = addressesOf(context);
  const { objectStore } = addresses;
  return {
    SLIPWAY_EGRESS_ALLOW: 'external,loopback',
    SLIPWAY_EGRESS_PORTS: 'any',
    SLIPWAY_EGRESS_HTTP: 'true',
    SLIPWAY_TEMPORAL_NAMESPACE: temporalNamespace,
    ...configuredByUser(settings.env),
    SLIPWAY_URL: addresses.url,
    SLIPWAY_TOKEN_URL: addresses.tokenUrl,
    SLIPWAY_HOST: '127.0.0.1',
    SLIPWAY_PORT: `${ports.api}`,
    SLIPWAY_POSTGRES_URL: addresses.postgresUrl,
    SLIPWAY_TEMPORAL_ADDRESS: addresses.temporalAddress,
    ...(addresses.temporalUiUrl === null ? {} : { SLIPWAY_TEMPORAL_UI_URL: addresses.temporalUiUrl }),
    SLIPWAY_OBJECT_STORE_ENDPOINT: objectStore.endpoint,
    SLIPWAY_OBJECT_STORE_BUCKET: objectStore.bucket,
    SLIPWAY_OBJECT_STORE_ACCESS_KEY: objectStore.accessKey,
    SLIPWAY_OBJECT_STORE_SECRET_KEY: objectStore.secretKey,
    SLIPWAY_KEY_FILE: keys.files.kek,
    SLIPWAY_TOKEN_KEY_FILE: keys.files.tokenKey,
    SLIPWAY_ADMIN_TOKEN_FILE: keys.files.adminToken,
    SLIPWAY_CONSOLE_DIR: consoleFolder,
  };
}

function configuredByUser(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('SLIPWAY_') && value !== undefined && value !== '' ? [[name, value]] : [],
    ),
  );
}

function nodeProgram(
  script: string,
  { args = [], env = {} }: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> },
): Program {
  return { command: process.execPath, args: [join(rootFolder, script), ...args], env };
}
