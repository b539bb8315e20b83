import type { Manifest } from './image-manifest.ts';

/** One architecture of a hosted base image. */
export interface BaseImagePlatform {
  /** `linux/arm64`, `linux/arm/v7`. */
  readonly platform: string;
  readonly digest: string;
}

/** What a hosted base image says of itself; `madeAt` is RFC 3339, `source` what it was made of. */
export interface BaseImageDescription {
  readonly madeAt: string | null;
  readonly source: string | null;
}

/** The name Dockerfiles use for a hosted base image: builders ask the mirror for what they would ask Docker Hub for. */
export function baseImageName({ repository, tag }: { readonly repository: string; readonly tag: string }): string {
  return `docker.io/${repository}:${tag}`;
}

/** Reads age and origin out of an image's annotations. */
export function describeBaseImage(manifest: Manifest): BaseImageDescription {
  const annotations = manifest.annotations ?? {};
  const madeAt = annotations['org.opencontainers.image.created'];
  return {
    madeAt: madeAt === undefined || Number.isNaN(Date.parse(madeAt)) ? null : madeAt,
    source:
      annotations['org.opencontainers.image.description'] ?? annotations['org.opencontainers.image.source'] ?? null,
  };
}

/** Where an image's registry answers; Docker Hub's name is not its address. */
export function registryUrlOf(registry: string): string {
  return `https://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`;
}
