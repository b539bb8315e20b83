import { createHash } from 'node:crypto';
import { isDigest } from '../../domain/digest.ts';
import {
  isManifestMediaType,
  manifestMediaTypes,
  ManifestRefused,
  parseManifest,
  type Manifest,
} from '../../domain/image-manifest.ts';
import { limits } from '../../domain/limits.ts';
import { repositoryAccess } from './registry-auth.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { errorFromFailure } from './registry-errors.ts';
import type { CallOptions, RegistryAnswer, RegistryHttp } from './registry-http.ts';

/** A manifest exactly as the registry holds it. */
export interface StoredManifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface ManifestHead {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface ManifestTarget {
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
}

const accept = Object.values(manifestMediaTypes).join(', ');

/** Reads a manifest; its bytes are checked against the digest asked for, not against what the registry says it sent. */
export async function manifestGet(
  http: RegistryHttp,
  { repository, reference }: ManifestTarget,
  options: CallOptions,
): Promise<StoredManifest> {
  const answer = await http.read({
    ...options,
    method: 'GET',
    target: manifestPath(repository, reference),
    access: repositoryAccess(repository, ['pull']),
    headers: { accept },
    expect: [200],
    maxBytes: limits.manifestBytes,
  });
  const digest = digestOf(answer.bytes);
  const what = `The manifest ${http.origin.host}/${repository}:${reference}`;
  if (isDigest(reference) && digest !== reference) {
    throw new RegistryError(`${what} gave other bytes: their digest is ${digest}.`, {
      issue: 'verify_failed',
      isPermanent: true,
    });
  }
  const mediaType = mediaTypeOf(answer);
  if (!isManifestMediaType(mediaType))
    throw unsupported(`${what} is "${mediaType}", which is not a manifest type we carry.`);
  return { mediaType, digest, bytes: answer.bytes };
}

/** What a reference points to, without its bytes; undefined when there is nothing. */
export async function manifestHead(
  http: RegistryHttp,
  { repository, reference }: ManifestTarget,
  options: CallOptions,
): Promise<ManifestHead | undefined> {
  const answer = await http.read({
    ...options,
    method: 'HEAD',
    target: manifestPath(repository, reference),
    access: repositoryAccess(repository, ['pull']),
    headers: { accept },
    expect: [200, 404],
  });
  if (answer.status === 404) return undefined;
  const digest = String(answer.headers['docker-content-digest'] ?? (isDigest(reference) ? reference : ''));
  const size = Number(answer.headers['content-length'] ?? Number.NaN);
  if (isDigest(digest) && Number.isInteger(size)) return { mediaType: mediaTypeOf(answer), digest, size };

  // A registry that leaves these headers out is asked for the whole manifest.
  const { mediaType, digest: found, bytes } = await manifestGet(http, { repository, reference }, options);
  return { mediaType, digest: found, size: bytes.length };
}

/** Writes a manifest byte for byte. `isSubjectKnown`: the registry lists it among the referrers of its subject by itself. */
export async function manifestPut(
  http: RegistryHttp,
  { repository, reference, mediaType, bytes }: ManifestTarget & Omit<StoredManifest, 'digest'>,
  options: CallOptions,
): Promise<{ digest: string; isSubjectKnown: boolean }> {
  const digest = digestOf(bytes);
  if (bytes.length > limits.manifestBytes) {
    throw new RegistryError(`The manifest ${digest} has ${bytes.length} bytes; ${limits.manifestBytes} are allowed.`, {
      issue: 'data_length_exceeded',
      isPermanent: true,
    });
  }
  const answer = await http.read({
    ...options,
    method: 'PUT',
    target: manifestPath(repository, reference),
    access: repositoryAccess(repository, ['pull', 'push']),
    headers: { 'content-type': mediaType },
    body: bytes,
    expect: [201, 200, 202],
  });
  const stored = answer.headers['docker-content-digest'] ?? digest;
  if (stored !== digest) {
    throw new RegistryError(
      `The manifest ${http.origin.host}/${repository}@${digest} was stored under the digest ${String(stored)}.`,
      {
        issue: 'verify_failed',
        isPermanent: true,
      },
    );
  }
  return { digest, isSubjectKnown: answer.headers['oci-subject'] !== undefined };
}

/** Deletes a manifest by digest, or a tag by its name where the registry allows it. What is already gone is fine. */
export async function manifestDelete(
  http: RegistryHttp,
  { repository, reference }: ManifestTarget,
  options: CallOptions,
): Promise<void> {
  await http.read({
    ...options,
    method: 'DELETE',
    target: manifestPath(repository, reference),
    access: repositoryAccess(repository, ['pull', 'push', 'delete']),
    expect: [202, 200, 204, 404],
  });
}

/** Reads the fields of a stored manifest; what we refuse to carry is `unsupported_format`. */
export function manifestParse(stored: StoredManifest): Manifest {
  try {
    return parseManifest(stored);
  } catch (error) {
    if (!(error instanceof ManifestRefused)) throw errorFromFailure(error, `Reading the manifest ${stored.digest}`);
    throw unsupported(`The manifest ${stored.digest} cannot be carried: ${error.message}`, error);
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function unsupported(message: string, cause?: unknown): RegistryError {
  return new RegistryError(message, { issue: 'unsupported_format', isPermanent: true, cause });
}

function manifestPath(repository: string, reference: string): string {
  return `/v2/${repository}/manifests/${reference}`;
}

function mediaTypeOf({ headers }: RegistryAnswer): string {
  return String(headers['content-type'] ?? '')
    .split(';', 1)[0]!
    .trim()
    .toLowerCase();
}
