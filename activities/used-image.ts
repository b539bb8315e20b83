import type { Database } from '../db/database.ts';
import { findInstanceAt, forgetUsedImages, listUsedImages, recordUsedImage } from '../db/repositories/used-image.ts';
import { registryUrlOf } from '../domain/base-image.ts';
import { parseImageRef } from '../domain/image-ref.ts';
import type { ImageRef } from '../domain/image-ref.ts';
import { RegistryError } from '../domain/registry-error.ts';
import type { RegistryClient } from './drivers/registry.ts';
import type { Registries } from './drivers/registries.ts';
import { inLanes } from './lanes.ts';

export interface UsedImageDeps {
  readonly db: Database;
  readonly registries: Pick<Registries, 'client'>;
  /** A registry outside, by its address, as anybody may ask it; through the guard. */
  readonly outsideRegistry: (url: string) => Pick<RegistryClient, 'manifestHead'>;
  readonly clock: () => Date;
}

/** Asked about in one round; what is left is first in the next. */
const imagesPerRound = 200;
const lanes = 4;
/** An image nobody asked about for so long counts no more. */
const keptMs = 24 * 3_600_000;

/**
 * Asks the registries of images that Slipway does not host, but builds that want to know were made from, what they are now. One that
 * does not answer, or asks for a login, leaves what is known; answers how many did.
 */
export async function readUsedImages(deps: UsedImageDeps, signal: AbortSignal): Promise<{ failed: number }> {
  const { db, clock } = deps;
  let failed = 0;
  await inLanes(await listUsedImages(db, { limit: imagesPerRound }), lanes, async (name) => {
    try {
      const digest = await digestOf(deps, name, signal);
      if (digest !== undefined) await recordUsedImage(db, { name, digest, at: clock() });
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      failed += 1;
    }
  });
  await forgetUsedImages(db, { before: new Date(clock().getTime() - keptMs) });
  return { failed };
}

/** Undefined where there is nothing to follow: no tag, or no such image any more. */
async function digestOf(deps: UsedImageDeps, name: string, signal: AbortSignal): Promise<string | undefined> {
  const image = parseImageRef(name);
  if (image?.tag === undefined) return undefined;
  const client = await clientFor(deps, image);
  return (await client.manifestHead(image.repository, image.tag, { signal }))?.digest;
}

async function clientFor(
  { db, registries, outsideRegistry }: UsedImageDeps,
  { registry, repository }: ImageRef,
): Promise<Pick<RegistryClient, 'manifestHead'>> {
  const own = await findInstanceAt(db, registry);
  if (own === undefined) return outsideRegistry(registryUrlOf(registry));
  return registries.client(own.id, [{ repository, actions: ['pull'] }]);
}
