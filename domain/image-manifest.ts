import { z } from 'zod';
import { digestSchema } from './digest.ts';

/** The four kinds of manifest we carry (docs/product.md, section 10). */
export const manifestMediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
} as const;

const indexTypes: readonly string[] = [manifestMediaTypes.ociIndex, manifestMediaTypes.dockerList];
const imageTypes: readonly string[] = [manifestMediaTypes.ociManifest, manifestMediaTypes.dockerManifest];

export function isIndexMediaType(mediaType: string): boolean {
  return indexTypes.includes(mediaType);
}

export function isManifestMediaType(mediaType: string): boolean {
  return indexTypes.includes(mediaType) || imageTypes.includes(mediaType);
}

export const platformSchema = z.looseObject({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
});
export type Platform = z.infer<typeof platformSchema>;

/** A pointer to content: what it is, its digest, its exact size. */
export const descriptorSchema = z.looseObject({
  mediaType: z.string(),
  digest: digestSchema,
  size: z.int().min(0),
  platform: platformSchema.optional(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

const shared = {
  schemaVersion: z.literal(2, 'schemaVersion must be 2: manifests of schema 1 are not supported'),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  subject: descriptorSchema.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
};
const indexSchema = z.looseObject({ ...shared, manifests: z.array(descriptorSchema) });
const imageSchema = z.looseObject({ ...shared, config: descriptorSchema, layers: z.array(descriptorSchema) });

/** A manifest as read: an index of other manifests, or one image (or artifact) with its config and layers. */
export type Manifest =
  | ({ readonly kind: 'index' } & z.infer<typeof indexSchema>)
  | ({ readonly kind: 'image' } & z.infer<typeof imageSchema>);

/** The bytes are no manifest we carry. The message says what is wrong with them. */
export class ManifestRefused extends Error {
  override readonly name = 'ManifestRefused';
}

/**
 * Reads a manifest's bytes under the media type its registry gave (`Content-Type`). Refuses what two readers could take
 * for different things: a body with another media type than the header's, or with both children and layers.
 * @throws ManifestRefused
 */
export function parseManifest({ mediaType, bytes }: { mediaType: string; bytes: Uint8Array }): Manifest {
  if (!isManifestMediaType(mediaType)) {
    throw new ManifestRefused(`"${mediaType}" is not a manifest type we carry; OCI and Docker schema 2 are.`);
  }
  const isIndex = isIndexMediaType(mediaType);
  const body = parseJson(bytes);
  refuseAmbiguous(body, { mediaType, isIndex });
  if (isIndex) return { kind: 'index', ...readAs(indexSchema, body) };
  return { kind: 'image', ...readAs(imageSchema, body) };
}

/** Foreign layers stay where their `urls` point: by their licence no registry may hand them on. */
export function isForeignLayer(descriptor: Descriptor): boolean {
  return descriptor.mediaType.includes('nondistributable') || descriptor.mediaType.includes('.foreign.');
}

const objectSchema = z.record(z.string(), z.unknown());

function parseJson(bytes: Uint8Array): Record<string, unknown> {
  try {
    return objectSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new ManifestRefused('The manifest is not a JSON object.', { cause: error });
  }
}

function refuseAmbiguous(
  body: Record<string, unknown>,
  { mediaType, isIndex }: { mediaType: string; isIndex: boolean },
): void {
  const inside = body['mediaType'];
  if (inside !== undefined && inside !== mediaType) {
    throw new ManifestRefused(`The manifest calls itself ${JSON.stringify(inside)} but was sent as "${mediaType}".`);
  }
  const foreign = isIndex ? ['layers', 'config', 'fsLayers'] : ['manifests', 'fsLayers'];
  const found = foreign.find((field) => field in body);
  if (found !== undefined) {
    throw new ManifestRefused(
      `The manifest is ${isIndex ? 'an index' : 'an image'} but has a field "${found}": it could be read in two ways.`,
    );
  }
}

function readAs<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw new ManifestRefused(
    `The manifest does not hold at "${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'unreadable'}.`,
  );
}
