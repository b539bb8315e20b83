import { chmod, mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { migrateAt } from '../db/migrate.ts';
import { stackTools } from '../tools/catalog.ts';
import { resolveTools } from '../tools/resolve.ts';
import { type BaseImage, makeBaseImages } from './base-images.ts';
import { ensureConsole } from './console.ts';
import { ensureEmulation } from './emulation.ts';
import { type Keys, openKeys } from './keys.ts';
import { type Addresses, addressesOf, apiPart, outerParts, type PartsContext, workerPart } from './parts.ts';
import { choosePorts, type Ports } from './ports.ts';
import { refreshing } from './refreshing.ts';
import { assertMayBuild, type StackSettings } from './settings.ts';
import { removeStackFile, stackFileOf, writeStackFile } from './stack-file.ts';
import { StackError } from './stack-error.ts';
import { createSupervisor, type Part, type Supervisor } from './supervisor.ts';
import { claimHome } from './sweep.ts';
import { makeVulnerabilityData } from './vulnerability-data.ts';

const MIN_FREE_BYTES = 1024 ** 3;
const SHARED_BUILDS =
  'all builds share one build daemon: right where everybody who may push trusts everybody else (docs/isolation.md)';
const DATA_REFRESH_MS = 12 * 3_600_000;

export interface StackOptions {
  readonly settings: StackSettings;
  readonly onProgress: (line: string) => void;
  /** Gives up whatever is in progress. */
  readonly signal: AbortSignal;
}

/** A running stack. */
export interface Stack {
  readonly ports: Ports;
  readonly keys: Keys;
  readonly addresses: Addresses;
  readonly baseImages: readonly BaseImage[];
  /** From now on `stack.json` says that it runs. */
  announce(): Promise<void>;
  /** Starts a further part, which is kept running and stopped like the others. */
  start(part: Part): Promise<void>;
  /** Starts a part anew. */
  restart(name: 'api' | 'worker'): Promise<void>;
  /** Stops everything it started, and nothing else. */
  stop(): Promise<void>;
}

/**
 * Starts every part of the embedded stack, each when what it needs is there, and keeps them running. Throws StackError (or
 * ToolError), whose message is the sentence to show; then nothing is left running.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { settings } = options;
  assertMayBuild(settings, process.getuid?.());
  if (settings.buildIsolation === 'shared') options.onProgress(SHARED_BUILDS);
  await prepareHome(settings.home);
  const release = await claimHome(settings.home);
  await removeStackFile(settings.home);
  const endings: (() => Promise<void>)[] = [release];
  const stop = async (): Promise<void> => {
    await removeStackFile(settings.home);
    for (const end of endings.toReversed()) await end();
  };
  try {
    return await startParts(options, { endings, stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(
  options: StackOptions,
  { endings, stop }: { readonly endings: (() => Promise<void>)[]; readonly stop: () => Promise<void> },
): Promise<Stack> {
  const { settings, onProgress, signal } = options;
  const { home, env, cacheDir } = settings;
  const ports = await choosePorts({ home, apiPort: settings.apiPort });
  const keys = await openKeys(home);
  await ensureEmulation(['amd64', 'arm64'], { env, signal });
  // Compiling and making images wait for different things; together they take little longer than the first alone.
  const [tools, baseImages] = await together(signal, [
    (ended) => resolveTools(stackTools, { env, onProgress, signal: ended }),
    (ended) => makeBaseImages({ cacheDir, env, onProgress, signal: ended }),
    () => ensureConsole(onProgress),
  ]);
  signal.throwIfAborted();

  const context: PartsContext = { settings, ports, keys, tools };
  const addresses = addressesOf(context);
  const trivyFolder = join(home, 'trivy');
  await makeVulnerabilityData({ binary: tools.vulndb, folder: trivyFolder });
  const renewData = () => makeVulnerabilityData({ binary: tools.vulndb, folder: trivyFolder });
  endings.push(refreshing(renewData, { everyMs: DATA_REFRESH_MS, onProgress }));

  let isAnnounced = false;
  const announce = async (): Promise<void> => {
    isAnnounced = true;
    await writeStackFile(home, stackFileOf({ keys, ports, addresses, pids: supervisor.pids() }));
  };
  const supervisor = createSupervisor({
    home,
    restartDelaysMs: [200, 1_000, 2_000, 5_000, 10_000, 30_000],
    healthyAfterMs: 60_000,
    onEvent: onProgress,
    onChange: () => {
      if (isAnnounced)
        announce().catch((error: unknown) => onProgress(`stack.json could not be written: ${String(error)}`));
    },
  });
  endings.push(() => supervisor.stop());
  signal.addEventListener('abort', () => void supervisor.stop(), { once: true });
  await startInOrder(supervisor, context);
  return {
    ports,
    keys,
    addresses,
    baseImages,
    announce,
    start: (part) => supervisor.start(part),
    restart: (name) => supervisor.restart(name),
    stop,
  };
}

/** The API needs the database and nothing else; the worker needs everything. */
async function startInOrder(supervisor: Supervisor, context: PartsContext): Promise<void> {
  const { postgres, others } = await outerParts(context);
  const startApi = async (): Promise<void> => {
    if (postgres !== undefined) await supervisor.start(postgres);
    await migrateAt(addressesOf(context).postgresUrl);
    await supervisor.start(apiPart(context));
  };
  await Promise.all([startApi(), ...others.map((part) => supervisor.start(part))]);
  await supervisor.start(workerPart(context));
}

async function prepareHome(home: string): Promise<void> {
  await mkdir(home, { recursive: true });
  // PostgreSQL's own user must be able to pass; what is secret in it is 0600.
  await chmod(home, 0o711);
  const { bavail, bsize } = await statfs(home);
  if (bavail * bsize >= MIN_FREE_BYTES) return;
  throw new StackError(
    `The disk that holds ${home} has ${Math.floor((bavail * bsize) / 1024 ** 2)} MB left and Slipway needs 1 GB: make room, or set SLIPWAY_HOME to another disk.`,
  );
}

/** Does things at once; when one fails the others are told to give up and waited for. */
async function together<const Works extends readonly ((signal: AbortSignal) => Promise<unknown>)[]>(
  signal: AbortSignal,
  works: Works,
): Promise<{ -readonly [Index in keyof Works]: Awaited<ReturnType<Works[Index]>> }>;
async function together(
  signal: AbortSignal,
  works: readonly ((signal: AbortSignal) => Promise<unknown>)[],
): Promise<unknown[]> {
  const givingUp = new AbortController();
  const either = AbortSignal.any([signal, givingUp.signal]);
  const running = works.map((work) => work(either));
  try {
    return await Promise.all(running);
  } finally {
    givingUp.abort(new StackError('Another part of the start failed.'));
    await Promise.allSettled(running);
  }
}
