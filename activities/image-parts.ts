import { isIndexMediaType, ManifestRefused, parseManifest } from '../domain/image-manifest.ts';
import { isNotFound } from '../domain/registry-error.ts';
import type { RegistryClient } from './drivers/registry.ts';
import { inLanes } from './lanes.ts';

/** A repository at its registry, for one activity. */
export interface Place {
  readonly client: RegistryClient;
  /** `namespace/repository`. */
  readonly path: string;
  readonly signal: AbortSignal;
}

/** What a tag of the registry points at. */
export interface TaggedManifest {
  readonly tag: string;
  readonly digest: string;
  readonly mediaType: string;
}

const requestsAtOnce = 8;
/** Indexes in indexes; what is deeper no client pulls. */
const indexDepthMax = 4;

/** Every tag of the repository; none where nothing was ever pushed. */
export async function readTags({ client, path, signal }: Place): Promise<readonly TaggedManifest[]> {
  const tags = await client.tagList(path, { signal }).catch((error: unknown) => {
    if (isNotFound(error)) return [];
    throw error;
  });
  const found: TaggedManifest[] = [];
  await inLanes(tags, requestsAtOnce, async (tag) => {
    const head = await client.manifestHead(path, tag, { signal });
    if (head !== undefined) found.push({ tag, digest: head.digest, mediaType: head.mediaType });
  });
  return found;
}

/** The manifests under these indexes, attestations too; an image has none. */
export async function partsUnder(
  place: Place,
  manifests: readonly Pick<TaggedManifest, 'digest' | 'mediaType'>[],
): Promise<ReadonlySet<string>> {
  const indexes = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
  const parts = new Set<string>();
  await inLanes([...indexes.values()], requestsAtOnce, async (manifest) => {
    for (const digest of await partsOf(place, manifest, indexDepthMax)) parts.add(digest);
  });
  return parts;
}

async function partsOf(
  place: Place,
  { digest, mediaType }: Pick<TaggedManifest, 'digest' | 'mediaType'>,
  depth: number,
): Promise<readonly string[]> {
  if (depth === 0 || !isIndexMediaType(mediaType)) return [];
  const { client, path, signal } = place;
  try {
    const manifest = parseManifest(await client.manifestGet(path, digest, { signal }));
    if (manifest.kind === 'image') return [];
    const parts: string[] = [];
    for (const part of manifest.manifests) parts.push(part.digest, ...(await partsOf(place, part, depth - 1)));
    return parts;
  } catch (error) {
    // Gone meanwhile, or nothing a client could pull by.
    if (isNotFound(error) || error instanceof ManifestRefused) return [];
    throw error;
  }
}
