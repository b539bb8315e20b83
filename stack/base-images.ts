import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegistryClient } from '../activities/drivers/registry.ts';
import { type Descriptor, manifestMediaTypes, parseManifest } from '../domain/image-manifest.ts';
import { withLock } from '../tools/lock.ts';
import { ensureEmulation } from './emulation.ts';
import {
  addDocument,
  addLayer,
  blobPath,
  type Document,
  finishLayout,
  imageConfig,
  imageIndex,
  imageManifest,
  readBlob,
} from './sample/base-images/oci-layout.ts';
import {
  type AptAccess,
  type Architecture,
  CUSTOMIZE_SCRIPT,
  findAptAccess,
  makeRootfs,
  mmdebstrapArguments,
  newestPublication,
  RELEASE,
  type Suite,
} from './sample/base-images/rootfs.ts';

/** Where the hosted base images stand in an instance's registry; BuildKit asks there for `docker.io/library/debian`. */
export const BASE_IMAGE_REPOSITORY = 'slipway-base/library/debian';

interface Recipe {
  readonly tag: string;
  readonly suites: readonly Suite[];
}

/** `unpatched` lacks every security update since the release's last edition, so that the sample has something to find. */
const RECIPES: readonly Recipe[] = [
  { tag: `${RELEASE}-slim`, suites: [RELEASE, `${RELEASE}-updates`, `${RELEASE}-security`] },
  { tag: `${RELEASE}-unpatched`, suites: [RELEASE] },
];
const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];
const UNFINISHED = '.making-';

/** One hosted base image, complete on disk: an OCI layout, which other programs read as it is. */
export interface BaseImage {
  readonly repository: string;
  readonly tag: string;
  readonly layout: string;
  readonly index: Document;
  readonly manifests: readonly Document[];
  /** Configurations and layers. */
  readonly blobs: readonly Descriptor[];
}

export interface MakeOptions {
  /** `$XDG_CACHE_HOME/slipway`; the images are kept in its `base-images` for the next start. */
  readonly cacheDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * The hosted base images, each for amd64 and arm64, made by mmdebstrap from Debian's packages or found in the cache. One
 * architecture is emulated and takes the longest. Throws if Debian cannot be reached or a program is missing.
 */
export async function makeBaseImages(options: MakeOptions): Promise<readonly BaseImage[]> {
  const folder = join(options.cacheDir, 'base-images');
  const images: BaseImage[] = [];
  for (const [index, recipe] of RECIPES.entries()) {
    const layout = join(folder, `debian-${recipe.tag}-${await recipeKey(recipe)}`);
    const line = `making base image debian:${recipe.tag}, ${index + 1} of ${RECIPES.length}, about 2 min, only this once`;
    if (!(await isComplete(layout))) await makeOnce({ recipe, layout, folder, line }, options);
    images.push(await readBaseImage(layout, recipe.tag));
  }
  return images;
}

/** Puts an image into a registry: what is there already is not sent again, the tag comes last. */
export async function pushBaseImage(
  registry: Pick<RegistryClient, 'manifestHead' | 'manifestPut' | 'blobHead' | 'blobUpload'>,
  image: BaseImage,
  signal: AbortSignal,
): Promise<void> {
  const { repository, tag, index } = image;
  const stored = await registry.manifestHead(repository, tag, { signal });
  if (stored?.digest === index.descriptor.digest) return;
  for (const { digest, size } of image.blobs) {
    if ((await registry.blobHead(repository, digest, { signal })) !== undefined) continue;
    // oxlint-disable-next-line require-await -- the upload asks for a promise, a file stream is there at once
    const open = async (offset: number) => createReadStream(blobPath(image.layout, digest), { start: offset });
    await registry.blobUpload({ repository, digest, size, open, signal });
  }
  for (const { descriptor, bytes } of image.manifests) {
    await registry.manifestPut(repository, descriptor.digest, { mediaType: descriptor.mediaType, bytes, signal });
  }
  await registry.manifestPut(repository, tag, { mediaType: index.descriptor.mediaType, bytes: index.bytes, signal });
}

interface Making {
  readonly recipe: Recipe;
  readonly layout: string;
  readonly folder: string;
  readonly line: string;
}

async function makeOnce({ recipe, layout, folder, line }: Making, options: MakeOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const onWait = (): void => options.onProgress(`waiting: another process is making a base image in ${folder}`);
  await withLock({ path: join(folder, 'lock'), signal: options.signal, onWait }, async () => {
    if (await isComplete(layout)) return;
    options.onProgress(line);
    await removeLeftovers(folder);
    const unfinished = await mkdtemp(join(folder, UNFINISHED));
    try {
      await makeLayout(recipe, unfinished, options);
      await rm(layout, { recursive: true, force: true });
      await rename(unfinished, layout);
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  });
}

async function makeLayout(recipe: Recipe, layout: string, { env, signal }: MakeOptions): Promise<void> {
  await ensureEmulation(ARCHITECTURES, { env, signal });
  const access = await findAptAccess({ env, signal });
  const scratch = await mkdtemp(join(layout, 'scratch-'));
  const publishedAtSeconds = await newestPublication(recipe.suites, { access, scratch, env, signal });
  const shared = { recipe, layout, scratch, access, publishedAtSeconds, env, signal };
  const manifests = await bothOrNone(
    ARCHITECTURES.map(
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
async function bothOrNone<T>(
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

async function readBaseImage(layout: string, tag: string): Promise<BaseImage> {
  const mediaType = manifestMediaTypes.ociIndex;
  const top = parseManifest({ mediaType, bytes: await readFile(join(layout, 'index.json')) });
  const pointer = top.kind === 'index' ? top.manifests[0] : undefined;
  if (pointer === undefined)
    throw new Error(`${layout} is no OCI layout of a base image: delete the folder and start again.`);
  const index = await readBlob(layout, pointer);
  const children = parseManifest({ mediaType, bytes: index.bytes });
  const manifests = await Promise.all(
    children.kind === 'index' ? children.manifests.map((child) => readBlob(layout, child)) : [],
  );
  const blobs = manifests.flatMap(({ descriptor, bytes }) => {
    const manifest = parseManifest({ mediaType: descriptor.mediaType, bytes });
    return manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : [];
  });
  return { repository: BASE_IMAGE_REPOSITORY, tag, layout, index, manifests, blobs };
}

/** Another key as soon as the image would be made differently; not when Debian has news: delete the folder for those. */
async function recipeKey({ suites }: Recipe): Promise<string> {
  const access: AptAccess = {
    mirrors: { bookworm: '', 'bookworm-updates': '', 'bookworm-security': '' },
    proxyOptions: [],
  };
  const hash = createHash('sha256').update(await readFile(CUSTOMIZE_SCRIPT));
  for (const architecture of ARCHITECTURES) {
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

async function isComplete(layout: string): Promise<boolean> {
  return stat(join(layout, 'index.json')).then(
    () => true,
    () => false,
  );
}

async function removeLeftovers(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(UNFINISHED));
  await Promise.all(names.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}
