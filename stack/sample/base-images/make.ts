import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '../../../domain/image-manifest.ts';
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
  const manifests = await allOrNone(
    recipe.architectures.map(
      (architecture) => (ended: AbortSignal) => makePlatform({ ...shared, architecture, signal: ended }),
    ),
    signal,
  );
  await rm(scratch, { recursive: true });
  const index = imageIndex(manifests, annotations(recipe, publishedAtSeconds));
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
}: PlatformWork): Promise<Descriptor> {
  const tar = join(scratch, `${architecture}.tar`);
  await makeRootfs({ suites: recipe.suites, architecture }, { ...context, out: tar, publishedAtSeconds });
  const layer = await addLayer(layout, tar, context.signal);
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
  return manifest.descriptor;
}

/** Another key as soon as the image would be made differently; not when Debian has news: delete the folder for those. */
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
