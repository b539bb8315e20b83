import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegistryClient } from '../activities/drivers/registry.ts';
import { type Descriptor, manifestMediaTypes, parseManifest } from '../domain/image-manifest.ts';
import { baseImageNamespace } from '../domain/instance.ts';
import { withLock } from '../tools/lock.ts';
import { makeLayout, newestNews, PACKAGES, type Recipe, recipeKey } from './sample/base-images/make.ts';
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
const DAY_MS = 24 * 3_600_000;

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

export interface RenewOptions extends MakeOptions {
  /** An image that was made or looked at more recently is left alone; default a day. */
  readonly minAgeMs?: number;
}

/**
 * The hosted base images, each for amd64 and arm64, made by mmdebstrap from Debian's packages or found in the cache. One
 * architecture is emulated and takes the longest. Throws if Debian cannot be reached or a program is missing.
 */
export async function makeBaseImages(options: MakeOptions): Promise<readonly BaseImage[]> {
  const folder = join(options.cacheDir, 'base-images');
  const images: BaseImage[] = [];
  for (const [index, { recipe, layout }] of (await places(options)).entries()) {
    const line = `making base image debian:${recipe.tag}, ${index + 1} of ${RECIPES.length}, about 2 min, only this once`;
    const making = { recipe, layout, folder, line, isDue: async () => !(await isComplete(layout)) };
    if (await making.isDue()) await makeOnce(making, options);
    images.push(await readBaseImage(layout, recipe.tag));
  }
  return images;
}

/**
 * The hosted base images, made anew where Debian has published something since. One whose packages turn out to be the same stays as
 * it is: a change of its digest has images built anew that nothing new would come into.
 */
export async function renewBaseImages(options: RenewOptions): Promise<readonly BaseImage[]> {
  const folder = join(options.cacheDir, 'base-images');
  const images: BaseImage[] = [];
  for (const { recipe, layout } of await places(options)) {
    const line = `renewing base image debian:${recipe.tag}: Debian has news`;
    const making = { recipe, layout, folder, line, isDue: () => isOutdated({ recipe, layout }, options) };
    if (await making.isDue()) await makeOnce(making, options);
    images.push(await readBaseImage(layout, recipe.tag));
  }
  return images;
}

interface Place {
  readonly recipe: Recipe;
  readonly layout: string;
}

async function places({ cacheDir, architectures = ALL_ARCHITECTURES }: MakeOptions): Promise<readonly Place[]> {
  return Promise.all(
    RECIPES.map(async (contents) => {
      const recipe = { ...contents, architectures };
      return { recipe, layout: join(cacheDir, 'base-images', `debian-${recipe.tag}-${await recipeKey(recipe)}`) };
    }),
  );
}

/** Whether Debian has news since the image was made, or since it was last found to be without any; asked once a day. */
async function isOutdated({ recipe, layout }: Place, options: RenewOptions): Promise<boolean> {
  if (!(await isComplete(layout))) return true;
  const { minAgeMs = DAY_MS } = options;
  if (Date.now() - (await lastLook(layout)) < minAgeMs) return false;
  const { created } = await readFacts(layout, recipe.tag);
  const known = Math.max(
    Date.parse(created) / 1_000,
    Number(await readFile(checkedFile(layout), 'utf8').catch(() => '')),
  );
  const news = await newestNews(recipe, options);
  if (news > known) return true;
  await writeFile(checkedFile(layout), `${known}`);
  return false;
}

/** When the image was made, or last compared with what Debian has. */
async function lastLook(layout: string): Promise<number> {
  const times = [join(layout, 'index.json'), checkedFile(layout)].map((file) =>
    stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    ),
  );
  return Math.max(...(await Promise.all(times)));
}

/** Beside the layout, which holds nothing but the image: until when Debian was found to have nothing new for it. */
function checkedFile(layout: string): string {
  return `${layout}.checked`;
}

async function readFacts(layout: string, tag: string): Promise<{ created: string; packages: string | undefined }> {
  const { index } = await readBaseImage(layout, tag);
  const { annotations } = parseManifest({ mediaType: index.descriptor.mediaType, bytes: index.bytes });
  return { created: annotations?.['org.opencontainers.image.created'] ?? '', packages: annotations?.[PACKAGES] };
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

interface Making extends Place {
  readonly folder: string;
  readonly line: string;
  /** Asked again once nobody else makes it. */
  readonly isDue: () => Promise<boolean>;
}

async function makeOnce({ recipe, layout, folder, line, isDue }: Making, options: MakeOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const onWait = (): void => options.onProgress(`waiting: another process is making a base image in ${folder}`);
  await withLock({ path: join(folder, 'lock'), signal: options.signal, onWait }, async () => {
    if (!(await isDue())) return;
    options.onProgress(line);
    await removeLeftovers(folder);
    const unfinished = await mkdtemp(join(folder, UNFINISHED));
    try {
      await makeLayout(recipe, unfinished, options);
      if (await hasSamePackages({ recipe, layout }, unfinished)) return;
      await rm(layout, { recursive: true, force: true });
      await rename(unfinished, layout);
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  });
}

/** Whether what was just made holds nothing new; then it is noted until when that is known. */
async function hasSamePackages({ recipe, layout }: Place, made: string): Promise<boolean> {
  if (!(await isComplete(layout))) return false;
  const [old, { created, packages }] = [await readFacts(layout, recipe.tag), await readFacts(made, recipe.tag)];
  if (packages === undefined || packages !== old.packages) return false;
  await writeFile(checkedFile(layout), `${Date.parse(created) / 1_000}`);
  return true;
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
