import { ApplicationFailure } from '@temporalio/activity';
import { lateOrderNo } from '../domain/chain.ts';
import type { RepositoryRef } from '../domain/chain.ts';
import type { Database } from '../db/database.ts';
import { listNeededDigests } from '../db/repositories/held-image.ts';
import {
  findTagPointer,
  getTagPointer,
  hasImmutableTags,
  isDigestTagged,
  moveTagPointer,
} from '../db/repositories/push.ts';
import { partsUnder, readTags, type Place } from './image-parts.ts';

export interface MoveTagsInput {
  readonly runId: string;
  readonly attempt: number;
  readonly repository: RepositoryRef;
  readonly orderNo: number;
  readonly tags: readonly string[];
  readonly digest: string;
  readonly platforms: readonly string[];
}

export interface DeleteImageInput {
  readonly runId: string;
  readonly attempt: number;
  readonly repository: RepositoryRef;
  readonly digest: string;
  readonly tags: readonly string[];
  /** The images of an index: an attempt that lost its worker after the index was gone knows them by this. */
  readonly parts: readonly string[];
}

/** `fenced`: built, not moved, as a newer run holds the tag. */
export interface MovedTags {
  readonly moved: readonly {
    readonly tag: string;
    readonly previousDigest: string | null;
    readonly sequence: number;
  }[];
  readonly fenced: readonly { readonly tag: string; readonly by: number }[];
}

export type Moved = MovedTags['moved'][number];
export type Fenced = MovedTags['fenced'][number];

interface TagDeps {
  readonly db: Database;
  readonly clock: () => Date;
}

const mutableTag = 'latest';

/** Moves one tag through the fence, then has the registry agree with its row. */
export async function moveTag(
  { db, clock }: TagDeps,
  { runId, repository, orderNo, digest }: MoveTagsInput,
  { at, tag }: { at: Place; tag: string },
): Promise<Moved | Fenced> {
  const key = { repositoryId: repository.id, tag };
  const known = await findTagPointer(db, key);
  const head = known === undefined ? await at.client.manifestHead(at.path, tag, at) : undefined;
  const digestBefore = known?.digest ?? head?.digest ?? null;
  // Somebody else set it before there was a row: a late push may make a missing tag, and moves none.
  if (orderNo === lateOrderNo && head !== undefined && head.digest !== digest) return { tag, by: lateOrderNo };
  if (digestBefore !== null && digestBefore !== digest) await refuseImmutable(db, { repository, tag });
  const { isMoved, row } = await moveTagPointer(db, { ...key, orderNo, digest, runId, digestBefore, at: clock() });
  await settleTag(db, key, at);
  return isMoved ? { tag, previousDigest: row.previous_digest, sequence: row.sequence } : { tag, by: row.order_no };
}

async function refuseImmutable(
  db: Database,
  { repository, tag }: { repository: RepositoryRef; tag: string },
): Promise<void> {
  if (tag === mutableTag || !(await hasImmutableTags(db, repository.id))) return;
  const text = `The tag "${tag}" is set and the tags of ${repository.namespace}/${repository.name} are immutable. Write another tag, or turn tag immutability off.`;
  throw ApplicationFailure.nonRetryable(text, 'push.tag_immutable', { tag, fault: 'user' });
}

/**
 * The row is the intent, the registry follows. Row and registry are read again after each write: whoever writes last repairs what a
 * frozen and thawed worker may have written meanwhile. No lock is held over HTTP.
 */
async function settleTag(
  db: Database,
  key: { repositoryId: string; tag: string },
  { client, path, signal }: Place,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const { digest } = await getTagPointer(db, key);
    const head = await client.manifestHead(path, key.tag, { signal });
    if (head?.digest !== digest) {
      const { mediaType, bytes } = await client.manifestGet(path, digest, { signal });
      await client.manifestPut(path, key.tag, { mediaType, bytes, signal });
    }
    const isSettled = (await client.manifestHead(path, key.tag, { signal }))?.digest === digest;
    if (isSettled && (await getTagPointer(db, key)).digest === digest) return;
  }
}

/**
 * Takes `tags` off the digest where they are on it, and the digest away unless something else of the repository holds it, with those
 * manifests beneath it that nothing else needs: they could be pulled by digest. Those go last, as some registries keep what an index
 * names.
 */
export async function deleteTagged(
  { db }: Pick<TagDeps, 'db'>,
  { at, runId, repository, digest, tags, parts: known }: Omit<DeleteImageInput, 'attempt'> & { at: Place },
): Promise<{ deletedTags: readonly string[]; isDigestDeleted: boolean }> {
  const { client, path, signal } = at;
  const tagged = await readTags(at);
  const onDigest = tagged.filter((each) => each.digest === digest);
  const deletedTags = onDigest.map(({ tag }) => tag).filter((tag) => tags.includes(tag));
  const others = await partsUnder(
    at,
    tagged.filter((each) => each.digest !== digest),
  );
  const isHeld =
    onDigest.length > deletedTags.length ||
    others.has(digest) ||
    (await isDigestTagged(db, { repositoryId: repository.id, digest, besides: tags }));
  if (isHeld) {
    for (const tag of deletedTags) await client.tagDelete(path, tag, { signal });
    return { deletedTags, isDigestDeleted: false };
  }
  const head = await client.manifestHead(path, digest, { signal });
  const found = head === undefined ? [] : await partsUnder(at, [head]);
  const parts = [...new Set([...known, ...found])].filter((part) => part !== digest);
  const needed = await listNeededDigests(db, { repositoryId: repository.id, runId, image: digest, digests: parts });
  const isKept = (part: string): boolean =>
    others.has(part) || needed.has(part) || tagged.some((each) => each.digest === part);
  // Takes its tags along.
  await client.manifestDelete(path, digest, { signal });
  for (const part of parts.filter((each) => !isKept(each))) await client.manifestDelete(path, part, { signal });
  return { deletedTags, isDigestDeleted: true };
}
