import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegistryClient } from '../activities/drivers/registry.ts';
import { type Descriptor, manifestMediaTypes, parseManifest } from '../domain/image-manifest.ts';
import { baseImageNamespace } from '../domain/instance.ts';
import { withLock } from '../tools/lock.ts';
import { makeLayout, type Recipe, recipeKey } from './sample/base-images/make.ts';
import { blobPath, type Document, readBlob } from './sample/base-images/oci-layout.ts';
import { type Architecture, RELEASE } from './sample/base-images/rootfs.ts';
import { StackError } from './stack-error.ts';

/** Where the hosted base images stand in an instance's registry; BuildKit asks there for `docker.io/library/debian`. */
const BASE_IMAGE_REPOSITORY = `${baseImageNamespace}/library/debian`;

/** `unpatched` lacks every security update since the release's last edition, so that the sample has something to find. */
const RECIPES: readonly Omit<Recipe, 'architectures'>[] = [
  { tag: `${RELEASE}-slim`, suites: [RELEASE, `${RELEASE}-updates`, `${RELEASE}-security`] },
  { tag: `${RELEASE}-unpatched`, suites: [RELEASE] },
];
const ALL_ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];
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
  /** Default all that an instance offers. */
  readonly architectures?: readonly Architecture[];
}

/**
 * The hosted base images, each for amd64 and arm64, made by mmdebstrap from Debian's packages or found in the cache. One
 * architecture is emulated and takes the longest. Throws if Debian cannot be reached or a program is missing.
 */
export async function makeBaseImages(options: MakeOptions): Promise<readonly BaseImage[]> {
  const folder = join(options.cacheDir, 'base-images');
  const images: BaseImage[] = [];
  for (const [index, contents] of RECIPES.entries()) {
    const recipe = { ...contents, architectures: options.architectures ?? ALL_ARCHITECTURES };
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

async function readBaseImage(layout: string, tag: string): Promise<BaseImage> {
  const mediaType = manifestMediaTypes.ociIndex;
  const top = parseManifest({ mediaType, bytes: await readFile(join(layout, 'index.json')) });
  const pointer = top.kind === 'index' ? top.manifests[0] : undefined;
  if (pointer === undefined)
    throw new StackError(`${layout} is no OCI layout of a base image: delete the folder and start again.`);
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
