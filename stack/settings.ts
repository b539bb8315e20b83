import { isAbsolute, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { cacheFolder } from '../tools/resolve.ts';
import { StackError } from './stack-error.ts';

/** What `npm start` was asked for. */
export interface StackSettings {
  /** Everything the stack keeps. */
  readonly home: string;
  /** 0: any free port. */
  readonly apiPort: number;
  readonly isSampleWanted: boolean;
  /** Whether hosted base images are made anew when Debian has news. */
  readonly isRenewalWanted: boolean;
  /** What can be made again: compiled programs, base images. */
  readonly cacheDir: string;
  /**
   * What keeps builds apart (docs/isolation.md): `namespace`, daemons that the worker starts, or `shared`, one for all, which may
   * be named from outside.
   */
  readonly buildIsolation: 'namespace' | 'shared';
  /** Parts named from outside are not started. */
  readonly outside: {
    readonly postgresUrl: string | undefined;
    readonly temporalAddress: string | undefined;
    readonly objectStore: ObjectStoreAccess | undefined;
    readonly buildkitAddress: string | undefined;
  };
  readonly env: NodeJS.ProcessEnv;
}

export interface ObjectStoreAccess {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** The repository's folder. */
export const rootFolder = resolve(import.meta.dirname, '..');

const text = z.string().min(1).optional();
const portMessage = 'a port is a number from 0 to 65535, 0 takes any free one';
const environmentSchema = z.object({
  SLIPWAY_HOME: text,
  SLIPWAY_PORT: z.coerce
    .number(portMessage)
    .int(portMessage)
    .min(0, portMessage)
    .max(65_535, portMessage)
    .default(8080),
  SLIPWAY_BASE_IMAGE_RENEWAL: z.enum(['on', 'off'], 'it is on or off').default('on'),
  SLIPWAY_POSTGRES_URL: text,
  SLIPWAY_TEMPORAL_ADDRESS: text,
  SLIPWAY_OBJECT_STORE_ENDPOINT: text,
  SLIPWAY_OBJECT_STORE_BUCKET: z.string().min(3).default('slipway'),
  SLIPWAY_OBJECT_STORE_ACCESS_KEY: text,
  SLIPWAY_OBJECT_STORE_SECRET_KEY: text,
  SLIPWAY_BUILDKIT_ADDRESS: text,
  SLIPWAY_BUILD_ISOLATION: z.enum(['namespace', 'shared'], 'it is namespace or shared').optional(),
});

/** Reads the arguments and the environment of `npm start`. Throws StackError with a sentence for the first thing wrong. */
export function readSettings(args: readonly string[], env: NodeJS.ProcessEnv): StackSettings {
  const parsed = environmentSchema.safeParse(withoutEmpty(env));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new StackError(`${issue?.path.join('.')} does not hold: ${issue?.message}.`);
  }
  const home = parsed.data.SLIPWAY_HOME ?? join(rootFolder, '.slipway');
  return {
    home: isAbsolute(home) ? home : resolve(env['INIT_CWD'] ?? process.cwd(), home),
    apiPort: parsed.data.SLIPWAY_PORT,
    isSampleWanted: !hasFlag(args),
    isRenewalWanted: parsed.data.SLIPWAY_BASE_IMAGE_RENEWAL === 'on',
    cacheDir: cacheFolder(env),
    buildIsolation: buildIsolation(parsed.data),
    outside: {
      postgresUrl: parsed.data.SLIPWAY_POSTGRES_URL,
      temporalAddress: parsed.data.SLIPWAY_TEMPORAL_ADDRESS,
      objectStore: outsideObjectStore(parsed.data),
      buildkitAddress: parsed.data.SLIPWAY_BUILDKIT_ADDRESS,
    },
    env,
  };
}

/** Building containers needs root on this machine; a daemon somewhere else needs nobody here. Throws StackError. */
export function assertMayBuild({ outside }: Pick<StackSettings, 'outside'>, uid: number | undefined): void {
  if (uid === 0 || outside.buildkitAddress !== undefined) return;
  throw new StackError(
    'The build daemon of npm start mounts file systems and makes networks, which only root may: run npm start as root, or name a BuildKit daemon in SLIPWAY_BUILDKIT_ADDRESS.',
  );
}

function buildIsolation(env: z.infer<typeof environmentSchema>): StackSettings['buildIsolation'] {
  const { SLIPWAY_BUILD_ISOLATION: asked, SLIPWAY_BUILDKIT_ADDRESS: address } = env;
  if (asked === 'namespace' && address !== undefined) {
    throw new StackError(
      'SLIPWAY_BUILDKIT_ADDRESS names one build daemon for all, and SLIPWAY_BUILD_ISOLATION=namespace asks for one per namespace: leave one of them out.',
    );
  }
  return asked ?? (address === undefined ? 'namespace' : 'shared');
}

function outsideObjectStore(env: z.infer<typeof environmentSchema>): ObjectStoreAccess | undefined {
  const endpoint = env.SLIPWAY_OBJECT_STORE_ENDPOINT;
  if (endpoint === undefined) return undefined;
  const { SLIPWAY_OBJECT_STORE_ACCESS_KEY: accessKey, SLIPWAY_OBJECT_STORE_SECRET_KEY: secretKey } = env;
  if (accessKey !== undefined && secretKey !== undefined) {
    return { endpoint, bucket: env.SLIPWAY_OBJECT_STORE_BUCKET, accessKey, secretKey };
  }
  throw new StackError(
    'SLIPWAY_OBJECT_STORE_ENDPOINT names an outside object store without its keys: set SLIPWAY_OBJECT_STORE_ACCESS_KEY and SLIPWAY_OBJECT_STORE_SECRET_KEY too.',
  );
}

function hasFlag(args: readonly string[]): boolean {
  try {
    return parseArgs({ args: [...args], options: { 'no-sample': { type: 'boolean' } } }).values['no-sample'] === true;
  } catch {
    throw new StackError(`npm start takes --no-sample and nothing else, not "${args.join(' ')}".`);
  }
}

function withoutEmpty(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}
