import { manifestMediaTypes, type Descriptor } from './image-manifest.ts';

export interface IndexOptions {
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * The bytes of an OCI index over the given manifests: for the platforms of one image, and for the list of referrers under
 * a fallback tag. The same descriptors give the same bytes, whatever their order, so building twice gives one digest.
 */
export function indexBuild(descriptors: readonly Descriptor[], { annotations }: IndexOptions = {}): Uint8Array {
  const manifests = [...descriptors].sort((a, b) => compareText(sortKey(a), sortKey(b))).map(orderedDescriptor);
  const index = {
    schemaVersion: 2,
    mediaType: manifestMediaTypes.ociIndex,
    manifests,
    ...(annotations === undefined ? {} : { annotations: sortedRecord(annotations) }),
  };
  return new TextEncoder().encode(JSON.stringify(index));
}

function sortKey({ platform, digest }: Descriptor): string {
  if (platform === undefined) return digest;
  return [platform.os, platform.architecture, platform.variant ?? '', digest].join('/');
}

function orderedDescriptor({
  mediaType,
  digest,
  size,
  platform,
  artifactType,
  annotations,
}: Descriptor): Record<string, unknown> {
  return {
    mediaType,
    ...(artifactType === undefined ? {} : { artifactType }),
    digest,
    size,
    ...(annotations === undefined ? {} : { annotations: sortedRecord(annotations) }),
    ...(platform === undefined ? {} : { platform: orderedPlatform(platform) }),
  };
}

function orderedPlatform({ architecture, os, ...rest }: NonNullable<Descriptor['platform']>): Record<string, unknown> {
  return { architecture, os, ...sortedRecord(rest) };
}

function sortedRecord<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(record)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => compareText(a, b)),
  );
}

/** By code unit, never by the machine's language. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
