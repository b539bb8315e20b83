import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProcessFailed, runProcess } from '../../../activities/drivers/process.ts';
import type { Descriptor } from '../../../domain/image-manifest.ts';
import { definedOnly } from '../../../tools/plan.ts';
import { ensureEmulation } from '../../emulation.ts';
import { addDocument, addLayer, finishLayout, imageConfig, imageIndex, imageManifest } from './oci-layout.ts';
import {
  type AptAccess,
  type Architecture,
  CUSTOMIZE_SCRIPT,
  findAptAccess,
  makeRootfs,
  mmdebstrapArguments,
  newestPublication,
  type Suite,
} from './rootfs.ts';

/** The annotation of an index that names its packages: the same packages, the same value, whenever it was made. */
export const PACKAGES = 'io.slipway.packages';
const TAR_TIMEOUT_MS = 60_000;
const STATUS_MAX_BYTES = 32 * 1024 * 1024;

/** What one hosted base image is made of. */
export interface Recipe {
  readonly tag: string;
  readonly suites: readonly Suite[];
  readonly architectures: readonly Architecture[];
}

interface Context {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Makes an image into an empty folder, which is a complete OCI layout when this resolves. All architectures at once. */
export async function makeLayout(recipe: Recipe, layout: string, { env, signal }: Context): Promise<void> {
  await ensureEmulation(recipe.architectures, { env, signal });
  const access = await findAptAccess({ env, signal });
  const scratch = await mkdtemp(join(layout, 'scratch-'));
  const publishedAtSeconds = await newestPublication(recipe.suites, { access, scratch, env, signal });
  const shared = { recipe, layout, scratch, access, publishedAtSeconds, env, signal };
  const platforms = await allOrNone(
    recipe.architectures.map(
      (architecture) => (ended: AbortSignal) => makePlatform({ ...shared, architecture, signal: ended }),
    ),
    signal,
  );
  await rm(scratch, { recursive: true });
  const packages = createHash('sha256').update(JSON.stringify(platforms.map((platform) => platform.packages)));
  const index = imageIndex(
    platforms.map(({ manifest }) => manifest),
    { ...annotations(recipe, publishedAtSeconds), [PACKAGES]: packages.digest('hex') },
  );
  await addDocument(layout, index);
  await finishLayout(layout, { index, tag: recipe.tag });
}

/** Runs all at once; when one fails the others are stopped and waited for, so that nothing is left running. */
async function allOrNone<T>(
  works: readonly ((signal: AbortSignal) => Promise<T>)[],
  signal: AbortSignal,
): Promise<T[]> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const running = works.map((work) => work(either));
  try {
    return await Promise.all(running);
  } finally {
    stop.abort();
    await Promise.allSettled(running);
  }
}

interface PlatformWork {
  readonly recipe: Recipe;
  readonly architecture: Architecture;
  readonly layout: string;
  readonly scratch: string;
  readonly access: AptAccess;
  readonly publishedAtSeconds: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

async function makePlatform({
  recipe,
  architecture,
  layout,
  scratch,
  publishedAtSeconds,
  ...context
}: PlatformWork): Promise<{ readonly manifest: Descriptor; readonly packages: string }> {
  const tar = join(scratch, `${architecture}.tar`);
  await makeRootfs({ suites: recipe.suites, architecture }, { ...context, out: tar, publishedAtSeconds });
  const layer = await addLayer(layout, tar, context.signal);
  const packages = await packagesIn(tar, context);
  await rm(tar);
  const platform =
    architecture === 'arm64' ? { os: 'linux', architecture, variant: 'v8' } : { os: 'linux', architecture };
  const createdAt = isoTime(publishedAtSeconds);
  const config = imageConfig({
    platform,
    diffId: layer.diffId,
    createdAt,
    createdBy: `mmdebstrap ${recipe.suites.join(' ')}`,
  });
  const manifest = imageManifest({ config: config.descriptor, layers: [layer.descriptor], platform });
  await addDocument(layout, config);
  await addDocument(layout, manifest);
  return { manifest: manifest.descriptor, packages };
}

/** What tells two trees of one recipe apart but for the times in them: what dpkg has installed; of a tree without dpkg, its bytes. */
async function packagesIn(tar: string, { env, signal }: Context): Promise<string> {
  const hash = createHash('sha256');
  try {
    const { stdout } = await runProcess({
      command: 'tar',
      args: ['--extract', '--to-stdout', '--file', tar, '--', './var/lib/dpkg/status'],
      env: definedOnly(env),
      signal,
      timeoutMs: TAR_TIMEOUT_MS,
      maxStdoutBytes: STATUS_MAX_BYTES,
    });
    return hash.update(stdout).digest('hex');
  } catch (error) {
    if (!(error instanceof ProcessFailed)) throw error;
    return hash.update(await readFile(tar)).digest('hex');
  }
}

/** When Debian last published something an image of the recipe would be made of, in seconds since 1970. */
export async function newestNews(recipe: Recipe, { env, signal }: Context): Promise<number> {
  const scratch = await mkdtemp(join(tmpdir(), 'slipway-news-'));
  try {
    const access = await findAptAccess({ env, signal });
    return await newestPublication(recipe.suites, { access, scratch, env, signal });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Another key as soon as the image would be made differently; not when Debian has news: `newestNews` tells of those. */
export async function recipeKey({ suites, architectures }: Recipe): Promise<string> {
  const access: AptAccess = {
    mirrors: { bookworm: '', 'bookworm-updates': '', 'bookworm-security': '' },
    proxyOptions: [],
  };
  const hash = createHash('sha256').update(await readFile(CUSTOMIZE_SCRIPT));
  for (const architecture of architectures) {
    hash.update(
      JSON.stringify(
        mmdebstrapArguments({ suites, architecture }, { access, out: '' }).filter(
          (option) => !option.includes(CUSTOMIZE_SCRIPT),
        ),
      ),
    );
  }
  return hash.digest('hex').slice(0, 12);
}

function annotations({ tag, suites }: Recipe, publishedAtSeconds: number): Record<string, string> {
  return {
    'org.opencontainers.image.title': `debian:${tag}`,
    'org.opencontainers.image.description': `Debian made by mmdebstrap from ${suites.join(', ')}`,
    'org.opencontainers.image.created': isoTime(publishedAtSeconds),
  };
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
