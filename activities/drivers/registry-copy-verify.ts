import type { Descriptor } from '../../domain/image-manifest.ts';
import { isNotFound, RegistryError } from '../../domain/registry-error.ts';
import type { CopyDestination } from './registry-copy.ts';
import { forEachParallel } from './registry-copy-pace.ts';
import type { CopyPlan, PlannedManifest } from './registry-copy-plan.ts';
import type { CallOptions } from './registry-http.ts';

/** What the destination answered to a HEAD of everything the image consists of. */
export interface Presence {
  readonly manifests: ReadonlySet<string>;
  readonly blobs: ReadonlySet<string>;
  /** Where the wanted tags point now. */
  readonly tags: ReadonlyMap<string, string>;
}

const headsAtOnce = 64;
/** A config larger than this is no config of an image; its presence is asked for, its bytes are not read again. */
const configBytes = 4 * 1024 * 1024;

/** Asks for everything at once. A referrer counts as present only when its subject lists it. */
export async function presentAt(
  { client, repository }: CopyDestination,
  { plan, tags }: { plan: CopyPlan; tags: readonly string[] },
  call: CallOptions,
): Promise<Presence> {
  const manifests = new Set<string>();
  const blobs = new Set<string>();
  const pointers = new Map<string, string>();
  const listed = new Set<string>();

  await allAtOnce(call, [
    ...tags.map((tag) => async (options: CallOptions) => {
      const head = await client.manifestHead(repository, tag, options);
      if (head !== undefined) pointers.set(tag, head.digest);
    }),
    ...plan.manifests.map(({ digest, bytes }) => async (options: CallOptions) => {
      const head = await client.manifestHead(repository, digest, options);
      if (head?.digest === digest && head.size === bytes.length) manifests.add(digest);
    }),
    ...subjectsOf(plan).map((subject) => async (options: CallOptions) => {
      for (const { digest } of await client.referrers(repository, subject, options)) listed.add(digest);
    }),
    ...plan.blobs.map((blob) => async (options: CallOptions) => {
      if (await isBlobPresent({ client, repository }, blob, options)) blobs.add(blob.digest);
    }),
  ]);
  for (const { digest, manifest } of plan.manifests) {
    if (manifest.subject !== undefined && !listed.has(digest)) manifests.delete(digest);
  }
  return { manifests, blobs, tags: pointers };
}

/**
 * Reads the copy back: manifests and configs by their bytes, every other blob by HEAD. Resolves to the blobs that are not
 * there, which a registry that lied about a mount or an upload gets one chance to take again.
 */
export async function copyVerify(
  destination: CopyDestination,
  plan: CopyPlan,
  call: CallOptions,
): Promise<readonly Descriptor[]> {
  const missing: Descriptor[] = [];
  const configs = new Set(
    plan.manifests.flatMap(({ manifest }) => (manifest.kind === 'image' ? [manifest.config.digest] : [])),
  );
  await allAtOnce(call, [
    ...plan.manifests.map((planned) => (options: CallOptions) => assertManifest(destination, planned, options)),
    ...plan.blobs.map((blob) => async (options: CallOptions) => {
      const isThere = configs.has(blob.digest) && blob.size <= configBytes ? isBlobReadable : isBlobPresent;
      if (!(await isThere(destination, blob, options))) missing.push(blob);
    }),
  ]);
  return missing;
}

/** The blobs of the image that the destination does not have. */
export async function copyMissing(
  destination: CopyDestination,
  { blobs }: CopyPlan,
  call: CallOptions,
): Promise<readonly Descriptor[]> {
  const missing: Descriptor[] = [];
  const questions = blobs.map((blob) => async (options: CallOptions) => {
    if (!(await isBlobPresent(destination, blob, options))) missing.push(blob);
  });
  await allAtOnce(call, questions);
  return missing;
}

export function verifyFailed({ client, repository }: CopyDestination, what: string, cause?: unknown): RegistryError {
  return new RegistryError(
    `The registry ${client.host} said it took ${what} into ${repository}, but reading it back failed. Nothing was tagged.`,
    { issue: 'verify_failed', isPermanent: true, cause },
  );
}

function subjectsOf({ manifests }: CopyPlan): readonly string[] {
  return [
    ...new Set(manifests.flatMap(({ manifest }) => (manifest.subject === undefined ? [] : [manifest.subject.digest]))),
  ];
}

async function assertManifest(
  destination: CopyDestination,
  planned: PlannedManifest,
  call: CallOptions,
): Promise<void> {
  try {
    const { mediaType } = await destination.client.manifestGet(destination.repository, planned.digest, call);
    if (mediaType === planned.mediaType) return;
  } catch (error) {
    if (isNotFound(error)) throw verifyFailed(destination, `the manifest ${planned.digest}`, error);
    throw error;
  }
  throw verifyFailed(destination, `the manifest ${planned.digest} as ${planned.mediaType}`);
}

async function isBlobPresent(
  { client, repository }: CopyDestination,
  { digest, size }: Descriptor,
  call: CallOptions,
): Promise<boolean> {
  const head = await client.blobHead(repository, digest, call);
  return head !== undefined && (Number.isNaN(head.size) || head.size === size);
}

async function isBlobReadable(
  { client, repository }: CopyDestination,
  { digest, size }: Descriptor,
  call: CallOptions,
): Promise<boolean> {
  try {
    const bytes = await client.blobGet(repository, { digest, size }, call);
    for await (const chunk of bytes) void chunk;
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function allAtOnce(
  { signal, onRetry }: CallOptions,
  questions: readonly ((options: CallOptions) => Promise<void>)[],
): Promise<void> {
  return forEachParallel(questions, { limit: () => headsAtOnce, signal }, (ask, shared) =>
    ask({ signal: shared, onRetry }),
  );
}
