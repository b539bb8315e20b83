import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/activity';
import type { PlatformImage } from '../domain/build.ts';
import type { RepositoryRef, RunImages } from '../domain/chain.ts';
import type { Reason } from '../domain/errors.ts';
import { indexBuild } from '../domain/image-index.ts';
import { manifestMediaTypes, type Descriptor } from '../domain/image-manifest.ts';
import { isNotFound, RegistryError } from '../domain/registry-error.ts';
import type { Database } from '../db/database.ts';
import { failArchitectures, setBuildDigest, setBuildStage } from '../db/repositories/build-progress.ts';
import { deleteTagPointers, noteRunTags } from '../db/repositories/push.ts';
import type { Registries } from './drivers/registries.ts';
import { heartbeating } from './heartbeat.ts';
import type { Place } from './image-parts.ts';
import { listPlatforms } from './image-platforms.ts';
import {
  deleteTagged,
  moveTag,
  type DeleteImageInput,
  type Fenced,
  type Moved,
  type MovedTags,
  type MoveTagsInput,
} from './push-tags.ts';

export type { DeleteImageInput, MovedTags, MoveTagsInput } from './push-tags.ts';

export interface PushDeps {
  readonly db: Database;
  readonly registries: Pick<Registries, 'client'>;
  readonly clock: () => Date;
}

export interface ResolveImageInput {
  readonly repository: RepositoryRef;
  /** A tag or a digest. */
  readonly tag: string;
}

export interface AssembleIndexInput {
  readonly runId: string;
  readonly attempt: number;
  readonly buildId: string;
  readonly repository: RepositoryRef;
  readonly images: readonly PlatformImage[];
  /** Architectures that were to be in it and failed. */
  readonly failed: readonly { readonly platform: string; readonly reason: Reason }[];
}

/**
 * Stores images by digest and moves tags (docs/product.md, sections 7 and 12). Permanent failures: `push.image_missing`,
 * `push.tag_immutable`, `push.index_empty`, and `push.<issue>` of a registry's final refusal.
 */
export function createPushActivities(deps: PushDeps) {
  return {
    /** An image that exists: its digest and architectures. */
    async resolveImage({ repository, tag }: ResolveImageInput): Promise<RunImages> {
      return atRegistry(deps, repository, ['pull'], (at) => resolveImage(at, tag));
    },

    /** One architecture is its own manifest; several, or what is left of several, get an OCI index, the same bytes every time. */
    async assembleIndex(input: AssembleIndexInput): Promise<{ digest: string; mediaType: string }> {
      const { runId, attempt, buildId, repository, failed } = input;
      const { db, clock } = deps;
      await setBuildStage(db, { buildId, stage: 'index', at: clock() });
      const image = await atRegistry(deps, repository, ['pull', 'push'], (at) => putIndex(at, input));
      if (failed.length > 0) await failArchitectures(db, { runId, attempt, buildId, failed, at: clock() });
      await setBuildDigest(db, { buildId, digest: image.digest, isPartial: failed.length > 0 });
      return image;
    },

    /** Moves each tag through the fence, then brings the registry to agree with the rows, whoever wrote them. */
    async moveTags(input: MoveTagsInput): Promise<MovedTags> {
      const { runId, repository, tags, digest, platforms } = input;
      const moves = await atRegistry(deps, repository, ['pull', 'push'], async (at) => {
        const ends: (Moved | Fenced)[] = [];
        for (const tag of tags) ends.push(await moveTag(deps, input, { at, tag }));
        return ends;
      });
      const moved = moves.filter((move) => 'sequence' in move);
      const fenced = moves.filter((move) => 'by' in move);
      await noteRunTags(deps.db, { runId, digest, tags: moved.map(({ tag }) => tag), platforms });
      return { moved, fenced };
    },

    /**
     * Takes the tags off the image, and the image with its architectures away unless another tag or image holds them. What is gone
     * already is fine.
     */
    async deleteImage(input: DeleteImageInput): Promise<{ deletedTags: readonly string[]; isDigestDeleted: boolean }> {
      const { repository, digest, tags } = input;
      const ends = await atRegistry(deps, repository, ['pull', 'push', 'delete'], (at) =>
        deleteTagged(deps, { ...input, at }),
      );
      await deleteTagPointers(deps.db, { repositoryId: repository.id, tags, digest });
      return ends;
    },
  };
}

/** Works at the registry, beating; what it refuses for good is told as `push.<issue>`. */
async function atRegistry<Result>(
  { registries }: PushDeps,
  repository: RepositoryRef,
  actions: readonly ('pull' | 'push' | 'delete')[],
  work: (place: Place) => Promise<Result>,
): Promise<Result> {
  const path = `${repository.namespace}/${repository.name}`;
  try {
    return await heartbeating(async (signal) => {
      const client = await registries.client(repository.instance, [{ repository: path, actions }]);
      return work({ client, path, signal });
    });
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const details = { instance: repository.instance, issue: error.issue, fault: 'system' };
    if (error.isPermanent) throw ApplicationFailure.nonRetryable(error.message, `push.${error.issue}`, details);
    throw ApplicationFailure.create({
      message: error.message,
      type: `push.${error.issue}`,
      details: [details],
      ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
    });
  }
}

async function resolveImage({ client, path, signal }: Place, tag: string): Promise<RunImages> {
  const stored = await client.manifestGet(path, tag, { signal }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    const text = `The image ${path}:${tag} does not exist any more: it was deleted after the run was asked for.`;
    throw ApplicationFailure.nonRetryable(text, 'push.image_missing', { tag, fault: 'user' });
  });
  const { digest, mediaType } = stored;
  const platforms = await listPlatforms({ client, path, signal }, stored);
  if (platforms.length === 0) {
    const text = `The image ${path}:${tag} is an index without an image in it, so there is nothing to scan or to copy. Push it again with its images.`;
    throw ApplicationFailure.nonRetryable(text, 'push.index_empty', { tag, fault: 'user' });
  }
  return { digest, mediaType, tags: tag.includes(':') ? [] : [tag], platforms };
}

async function putIndex(
  { client, path, signal }: Place,
  { images, failed }: Pick<AssembleIndexInput, 'images' | 'failed'>,
): Promise<{ digest: string; mediaType: string }> {
  const [only] = images;
  if (only === undefined) throw ApplicationFailure.nonRetryable('An index over no image was asked for.', 'internal');
  if (images.length + failed.length === 1) return { digest: only.digest, mediaType: only.mediaType };
  const bytes = indexBuild(images.map(descriptorOfImage));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const mediaType = manifestMediaTypes.ociIndex;
  await client.manifestPut(path, digest, { mediaType, bytes, signal });
  return { digest, mediaType };
}

function descriptorOfImage({ platform, digest, mediaType, sizeBytes }: PlatformImage): Descriptor {
  const [os = '', architecture = '', variant] = platform.split('/');
  return {
    mediaType,
    digest,
    size: sizeBytes,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  };
}
