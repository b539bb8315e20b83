import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** Files of an image by their path without a leading slash. */
export type ImageFiles = Readonly<Record<string, string | Buffer>>;

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Source package, where it has another name. */
  readonly source?: string;
}

export interface PushedImage {
  readonly digest: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

/** What a scanner reads of a Debian: its release and its list of installed packages. */
export function debianFiles(release: string, packages: readonly DebianPackage[]): ImageFiles {
  const major = release.split('.')[0];
  const status = packages.map(({ name, version, source }) =>
    [
      `Package: ${name}`,
      'Status: install ok installed',
      'Architecture: amd64',
      ...(source === undefined ? [] : [`Source: ${source}`]),
      `Version: ${version}`,
      'Maintainer: Debian',
      'Description: a package',
      '',
    ].join('\n'),
  );
  return {
    'etc/os-release': `ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="${major}"\n`,
    'etc/debian_version': `${release}\n`,
    'var/lib/dpkg/status': status.join('\n'),
  };
}

/** Pushes an image of one layer by digest, so that a test knows every byte of what is scanned. */
export async function pushImage({
  files,
  ...place
}: {
  readonly registryUrl: string;
  readonly repository: string;
  readonly platform: string;
  readonly files: ImageFiles;
}): Promise<PushedImage> {
  return pushLayer({ ...place, tar: tarOf(files) });
}

/** Pushes an image of one layer, a tar of its whole file system: under a tag, or by digest. */
export async function pushLayer({
  registryUrl,
  repository,
  platform,
  tar,
  tag,
}: {
  readonly registryUrl: string;
  readonly repository: string;
  readonly platform: string;
  readonly tar: Buffer;
  readonly tag?: string;
}): Promise<PushedImage> {
  const layer = gzipSync(tar);
  const [os, architecture, variant] = platform.split('/');
  const config = Buffer.from(
    JSON.stringify({
      os,
      architecture,
      ...(variant === undefined ? {} : { variant }),
      created: '2026-01-01T00:00:00Z',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    }),
  );
  const base = `${registryUrl}/v2/${repository}`;
  await putBlob(base, layer);
  await putBlob(base, config);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: mediaTypes.layer, digest: digestOf(layer), size: layer.length }],
    }),
  );
  return putManifest(base, { bytes: manifest, mediaType: mediaTypes.manifest, reference: tag ?? digestOf(manifest) });
}

/** Pushes a Trivy database as its makers publish it: one layer with `trivy.db` and `metadata.json`, under a tag. */
export async function pushTrivyDatabase({
  registryUrl,
  repository,
  tag,
  files,
}: {
  readonly registryUrl: string;
  readonly repository: string;
  readonly tag: string;
  readonly files: ImageFiles;
}): Promise<void> {
  const base = `${registryUrl}/v2/${repository}`;
  const layer = gzipSync(tarOf(files));
  const config = Buffer.from('{}');
  await putBlob(base, layer);
  await putBlob(base, config);
  const layerType = 'application/vnd.aquasec.trivy.db.layer.v1.tar+gzip';
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: {
      mediaType: 'application/vnd.aquasec.trivy.config.v1+json',
      digest: digestOf(config),
      size: config.length,
    },
    layers: [
      {
        mediaType: layerType,
        digest: digestOf(layer),
        size: layer.length,
        annotations: { 'org.opencontainers.image.title': 'db.tar.gz' },
      },
    ],
  };
  await putManifest(base, {
    bytes: Buffer.from(JSON.stringify(manifest)),
    mediaType: mediaTypes.manifest,
    reference: tag,
  });
}

async function putBlob(base: string, bytes: Buffer): Promise<void> {
  const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', base);
  location.searchParams.set('digest', digestOf(bytes));
  const answer = await fetch(location, { method: 'PUT', body: new Uint8Array(bytes) });
  if (answer.status !== 201) throw new Error(`The blob was not taken: ${answer.status} ${await answer.text()}`);
}

async function putManifest(
  base: string,
  { bytes, mediaType, reference }: { readonly bytes: Buffer; readonly mediaType: string; readonly reference: string },
): Promise<PushedImage> {
  const answer = await fetch(`${base}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body: new Uint8Array(bytes),
  });
  if (answer.status !== 201) throw new Error(`The manifest was not taken: ${answer.status} ${await answer.text()}`);
  return { digest: digestOf(bytes), mediaType, sizeBytes: bytes.length };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

const block = 512;

/** A tar (ustar) of regular files, the same bytes for the same files. */
function tarOf(files: ImageFiles): Buffer {
  const parts = Object.entries(files).flatMap(([path, content]) => {
    const bytes = Buffer.from(content);
    return [tarHeader(path, bytes.length), bytes, Buffer.alloc((block - (bytes.length % block)) % block)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

function tarHeader(path: string, size: number): Buffer {
  const header = Buffer.alloc(block);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(path, 0);
  header.write(octal(0o644, 8), 100);
  header.write(octal(0, 8) + octal(0, 8), 108);
  header.write(octal(size, 12) + octal(0, 12), 124);
  header.write('        0', 148);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 7)} `, 148);
  return header;
}
