import { forgetLostBaseImages, listBaseImagePlaces, recordBaseImages } from '../db/repositories/base-image.ts';
import type { BaseImagePlace, SeenBaseImage } from '../db/repositories/base-image.ts';
import { listStaleBuilds } from '../db/repositories/used-image.ts';
import { baseImageName, describeBaseImage } from '../domain/base-image.ts';
import { parseManifest } from '../domain/image-manifest.ts';
import { baseImageNamespace } from '../domain/instance.ts';
import { isNotFound } from '../domain/registry-error.ts';
import { heartbeating } from './heartbeat.ts';
import { listPlatforms } from './image-platforms.ts';
import { readUsedImages } from './used-image.ts';
import type { UsedImageDeps } from './used-image.ts';

export interface BaseImageDeps extends UsedImageDeps {}

/** A build to be started for a base image that changed; `sinceMs` is when that was seen, in milliseconds since 1970. */
export interface StaleBaseImage {
  readonly ruleId: string;
  readonly ref: string;
  readonly image: string;
  readonly sinceMs: number;
}

export interface BaseImagesRead {
  readonly images: number;
  /** Places and images whose registry did not answer; what is known of them stays. */
  readonly failed: number;
  readonly stale: readonly StaleBaseImage[];
}

/** Started by one round; what is left is due in the next. */
const startsPerRound = 100;

/**
 * Reads what stands in the namespaces of hosted base images, and what other images are that builds were made from, and names the
 * builds made from what was there before (docs/product.md, section 7, "Hosted base images"). A registry that is away stops neither the others nor what is known.
 */
async function readBaseImages(deps: BaseImageDeps): Promise<BaseImagesRead> {
  return heartbeating(async (signal) => {
    const { db, clock } = deps;
    const failures: unknown[] = [];
    let count = 0;
    await forgetLostBaseImages(db);
    for (const place of await listBaseImagePlaces(db)) {
      try {
        const images = await readPlace(deps, place, signal);
        await recordBaseImages(db, { place, images, at: clock() });
        count += images.length;
      } catch (error) {
        signal.throwIfAborted();
        failures.push(error);
      }
    }
    if (failures.length > 0 && count === 0) throw failures[0];
    const used = await readUsedImages(deps, signal);
    const stale = await listStaleBuilds(db, { limit: startsPerRound });
    return {
      images: count,
      failed: failures.length + used.failed,
      stale: stale.map(({ updatedAt, ...build }) => ({ ...build, sinceMs: updatedAt.getTime() })),
    };
  });
}

async function readPlace(
  { registries }: BaseImageDeps,
  { instanceId, repository }: BaseImagePlace,
  signal: AbortSignal,
): Promise<readonly SeenBaseImage[]> {
  const path = `${baseImageNamespace}/${repository}`;
  const client = await registries.client(instanceId, [{ repository: path, actions: ['pull'] }]);
  const images: SeenBaseImage[] = [];
  for (const tag of await client.tagList(path, { signal })) {
    const stored = await client.manifestGet(path, tag, { signal }).catch((error: unknown) => {
      // Deleted since it was listed.
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (stored === undefined) continue;
    const platforms = await listPlatforms({ client, path, signal }, stored);
    images.push({
      instanceId,
      repository,
      tag,
      name: baseImageName({ repository, tag }),
      digest: stored.digest,
      platforms: platforms.map(({ platform, digest }) => ({ platform, digest })),
      ...describeBaseImage(parseManifest(stored)),
    });
  }
  return images;
}

export function createBaseImageActivities(deps: BaseImageDeps) {
  return { readBaseImages: () => readBaseImages(deps) };
}
