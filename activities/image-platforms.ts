import { z } from 'zod';
import type { PlatformImage } from '../domain/build.ts';
import { parseManifest } from '../domain/image-manifest.ts';
import type { Descriptor, Platform } from '../domain/image-manifest.ts';
import type { RegistryClient, StoredManifest } from './drivers/registry.ts';

/** A repository of a registry: `path` is `namespace/name`. */
export interface ImagePlace {
  readonly client: Pick<RegistryClient, 'blobGet'>;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** The images of a manifest, one per architecture; a manifest without an index is one itself, its configuration says of what. */
export async function listPlatforms(place: ImagePlace, stored: StoredManifest): Promise<readonly PlatformImage[]> {
  const manifest = parseManifest(stored);
  if (manifest.kind === 'index') return manifest.manifests.flatMap(imageOfDescriptor);
  const { mediaType, digest, bytes } = stored;
  const platform = await platformOf(place, manifest.config);
  return imageOfDescriptor({ mediaType, digest, size: bytes.length, platform });
}

/** Every image of an index counts, whatever its platform: what is not scanned must not pass a gate. Attestations are no images. */
function imageOfDescriptor({ platform, digest, mediaType, size, annotations }: Descriptor): readonly PlatformImage[] {
  if (annotations?.['vnd.docker.reference.type'] === 'attestation-manifest') return [];
  return [{ platform: platformName(platform), digest, mediaType, sizeBytes: size }];
}

function platformName(platform: Platform | undefined): string {
  if (platform === undefined) return 'unknown';
  const { os, architecture, variant } = platform;
  // arm without a variant means v7; variants of amd64 and arm64 are refinements of one platform.
  return `${os}/${architecture}${architecture === 'arm' ? `/${variant ?? 'v7'}` : ''}`;
}

const configSchema = z.looseObject({
  os: z.string().catch(''),
  architecture: z.string().catch(''),
  variant: z.string().optional(),
});

async function platformOf({ client, path, signal }: ImagePlace, config: Descriptor): Promise<Platform> {
  const { digest, size } = config;
  const chunks: Uint8Array[] = [];
  for await (const chunk of await client.blobGet(path, { digest, size }, { signal })) chunks.push(chunk);
  return configSchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}
