import { isForeignLayer, isManifestMediaType, type Descriptor, type Manifest } from '../../domain/image-manifest.ts';
import { isNotFound, RegistryError } from '../../domain/registry-error.ts';
import type { CallOptions } from './registry-http.ts';
import { manifestParse, type StoredManifest } from './registry-manifest.ts';
import type { RegistryClient } from './registry.ts';

/** One side of a copy. */
export interface CopySource {
  readonly client: RegistryClient;
  readonly repository: string;
  readonly digest: string;
}

export interface PlannedManifest extends StoredManifest {
  readonly manifest: Manifest;
  /** 0 for one without children; a parent is always higher than its children. */
  readonly height: number;
}

/** Everything an image consists of: its manifests, their referrers, and each blob once. */
export interface CopyPlan {
  readonly root: PlannedManifest;
  readonly manifests: readonly PlannedManifest[];
  /** Largest first, so that the longest transfer does not start last. */
  readonly blobs: readonly Descriptor[];
}

/** An index, its image, a signature of it, and what refers to that are 4; more is an attack. */
const maxDepth = 4;
const maxManifests = 1_000;
const maxBlobs = 10_000;

/** Reads the whole tree of manifests at the source, and what refers to each of them. Refuses cycles and endless trees. */
export async function copyPlan(source: CopySource, options: CallOptions): Promise<CopyPlan> {
  const found = new Map<string, PlannedManifest>();
  const blobs = new Map<string, Descriptor>();
  const reading = new Map<string, Promise<PlannedManifest>>();

  function visit(digest: string, path: readonly string[]): Promise<PlannedManifest> {
    if (path.includes(digest)) throw refused(source, 'it contains itself');
    if (path.length >= maxDepth) throw refused(source, `it is nested more than ${maxDepth} deep`);
    const running = reading.get(digest);
    if (running !== undefined) return running;
    if (reading.size >= maxManifests) throw refused(source, `it has more than ${maxManifests} manifests`);
    const visited = read(digest, [...path, digest]);
    reading.set(digest, visited);
    return visited;
  }

  async function read(digest: string, path: readonly string[]): Promise<PlannedManifest> {
    const referrers = readReferrers(digest, path);
    const [node] = await Promise.all([readNode(digest, path), referrers]);
    return node;
  }

  async function readNode(digest: string, path: readonly string[]): Promise<PlannedManifest> {
    const stored = await source.client.manifestGet(source.repository, digest, options);
    const manifest = manifestParse(stored);
    const { children, content } = partsOf(manifest);
    for (const blob of content) addBlob(blob);
    const read = await Promise.all(children.map((child) => visitChild(child, path)));
    const node = { ...stored, manifest, height: Math.max(-1, ...read.map((child) => child.height)) + 1 };
    found.set(digest, node);
    return node;
  }

  async function visitChild(child: Descriptor, path: readonly string[]): Promise<PlannedManifest> {
    const node = await visit(child.digest, path);
    if (node.bytes.length === child.size) return node;
    throw new RegistryError(
      `The manifest ${child.digest} has ${node.bytes.length} bytes where its index says ${child.size}.`,
      {
        issue: 'data_length_exceeded',
        isPermanent: true,
      },
    );
  }

  /**
   * A listed referrer may be deleted already: a list under a fallback tag is nobody's duty to keep true. One that is being
   * read is awaited by whoever began: lists that name each other must not wait for each other.
   */
  async function readReferrers(digest: string, path: readonly string[]): Promise<void> {
    const referrers = await source.client.referrers(source.repository, digest, options);
    await Promise.all(
      referrers.map(async ({ digest: referrer }) => {
        if (!path.includes(referrer) && reading.has(referrer)) return;
        try {
          await visit(referrer, path);
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      }),
    );
  }

  function addBlob(blob: Descriptor): void {
    const known = blobs.get(blob.digest);
    if (known !== undefined && known.size !== blob.size)
      throw refused(source, `it names two sizes for the blob ${blob.digest}`);
    if (blobs.size >= maxBlobs) throw refused(source, `it has more than ${maxBlobs} blobs`);
    blobs.set(blob.digest, blob);
  }

  const root = await visit(source.digest, []);
  return { root, manifests: [...found.values()], blobs: [...blobs.values()].sort((a, b) => b.size - a.size) };
}

/** What an index points to besides manifests, such as the layers of a build cache, is content like any other. */
function partsOf(manifest: Manifest): { children: readonly Descriptor[]; content: readonly Descriptor[] } {
  if (manifest.kind === 'image') {
    return { children: [], content: [manifest.config, ...manifest.layers].filter((blob) => !isForeignLayer(blob)) };
  }
  return {
    children: manifest.manifests.filter((child) => isManifestMediaType(child.mediaType)),
    content: manifest.manifests.filter((child) => !isManifestMediaType(child.mediaType)),
  };
}

function refused({ client, repository, digest }: CopySource, why: string): RegistryError {
  return new RegistryError(`The image ${client.host}/${repository}@${digest} is not copied: ${why}.`, {
    issue: 'unsupported_format',
    isPermanent: true,
  });
}
