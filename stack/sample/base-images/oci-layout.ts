import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { indexBuild } from '../../../domain/image-index.ts';
import { type Descriptor, manifestMediaTypes, type Platform } from '../../../domain/image-manifest.ts';

const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** Bytes with what points to them. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** A layer as a registry stores it, and the digest of the tar inside. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

/** The configuration of an image of one layer, such as a base image is: a shell, the usual PATH, nothing else. */
export function imageConfig({
  platform,
  diffId,
  createdAt,
  createdBy,
}: {
  readonly platform: Platform;
  readonly diffId: string;
  readonly createdAt: string;
  readonly createdBy: string;
}): Document {
  return documentOf(CONFIG_TYPE, {
    created: createdAt,
    ...platform,
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['bash'] },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created: createdAt, created_by: createdBy }],
  });
}

export function imageManifest({
  config,
  layers,
  platform,
}: {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly platform: Platform;
}): Document {
  const mediaType = manifestMediaTypes.ociManifest;
  const { descriptor, bytes } = documentOf(mediaType, { schemaVersion: 2, mediaType, config, layers });
  return { descriptor: { ...descriptor, platform }, bytes };
}

export function imageIndex(manifests: readonly Descriptor[], annotations: Readonly<Record<string, string>>): Document {
  const bytes = indexBuild(manifests, { annotations });
  return { descriptor: describe(manifestMediaTypes.ociIndex, bytes), bytes };
}

/** Gzips a tar into the layout's blobs. */
export async function addLayer(layout: string, tar: string, signal?: AbortSignal): Promise<Layer> {
  await mkdir(blobFolder(layout), { recursive: true });
  const partial = join(blobFolder(layout), `${crypto.randomUUID()}.partial`);
  const plain = tap();
  const packed = tap();
  await pipeline(createReadStream(tar), plain.stream, createGzip(), packed.stream, createWriteStream(partial), {
    signal,
  });
  const digest = packed.digest();
  await rename(partial, blobPath(layout, digest));
  return { descriptor: { mediaType: LAYER_TYPE, digest, size: packed.size() }, diffId: plain.digest() };
}

export async function addDocument(layout: string, document: Document): Promise<void> {
  await mkdir(blobFolder(layout), { recursive: true });
  await writeFile(blobPath(layout, document.descriptor.digest), document.bytes);
}

/** Completes the layout; before this it is no image to any reader. */
export async function finishLayout(
  layout: string,
  { index, tag }: { readonly index: Document; readonly tag: string },
): Promise<void> {
  const annotated = { ...index.descriptor, annotations: { 'org.opencontainers.image.ref.name': tag } };
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [annotated] }));
}

/** Where a layout keeps a blob, manifests included. */
export function blobPath(layout: string, digest: string): string {
  return join(blobFolder(layout), digest.slice('sha256:'.length));
}

export async function readBlob(layout: string, descriptor: Descriptor): Promise<Document> {
  return { descriptor, bytes: await readFile(blobPath(layout, descriptor.digest)) };
}

function blobFolder(layout: string): string {
  return join(layout, 'blobs', 'sha256');
}

function documentOf(mediaType: string, content: object): Document {
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  return { descriptor: describe(mediaType, bytes), bytes };
}

function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: bytes.length };
}

/** Hashes and counts what flows through. */
function tap(): { readonly stream: Transform; readonly digest: () => string; readonly size: () => number } {
  const hash = createHash('sha256');
  let size = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  return { stream, digest: () => `sha256:${hash.digest('hex')}`, size: () => size };
}
