import { sql } from 'kysely';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { TagPointerRow } from '../tables/push.ts';

export interface TagMove {
  readonly repositoryId: string;
  readonly tag: string;
  readonly orderNo: number;
  readonly digest: string;
  readonly runId: string;
  /** What the registry had under the tag when there was no row yet. */
  readonly digestBefore: string | null;
  readonly at: Date;
}

/**
 * Points a tag at a digest unless a newer order number has moved it already; the row then tells what holds. The same run may come
 * again: with the same digest it changes nothing, with another it moves on (docs/product.md, section 12, "Tag fence").
 */
export async function moveTagPointer(db: Database, move: TagMove): Promise<{ isMoved: boolean; row: TagPointerRow }> {
  return db.transaction().execute(async (trx) => {
    const row = await advancePointer(trx, move);
    if (row !== undefined) {
      await noteMove(trx, row);
      return { isMoved: true, row };
    }
    const holder = await getTagPointer(trx, move);
    await noteFence(trx, move, holder);
    return { isMoved: false, row: holder };
  });
}

async function advancePointer(
  trx: DatabaseTransaction,
  { repositoryId, tag, orderNo, digest, runId, digestBefore, at }: TagMove,
): Promise<TagPointerRow | undefined> {
  return trx
    .insertInto('tag_pointer')
    .values({
      repository_id: repositoryId,
      tag,
      order_no: orderNo,
      digest,
      previous_digest: digestBefore,
      run_id: runId,
      sequence: 1,
      moved_at: at,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['repository_id', 'tag'])
        .doUpdateSet({
          order_no: orderNo,
          digest,
          run_id: runId,
          previous_digest: sql`case when ${isRepeated} then tag_pointer.previous_digest else tag_pointer.digest end`,
          sequence: sql`case when ${isRepeated} then tag_pointer.sequence else tag_pointer.sequence + 1 end`,
          moved_at: sql`case when ${isRepeated} then tag_pointer.moved_at else excluded.moved_at end`,
        })
        .where((eb) => eb.or([eb('tag_pointer.order_no', '<', orderNo), eb('tag_pointer.run_id', '=', runId)])),
    )
    .returningAll()
    .executeTakeFirst();
}

/** The tag's history; a repeated move is in it already. */
async function noteMove(trx: DatabaseTransaction, row: TagPointerRow): Promise<void> {
  const { repository_id, tag, sequence, order_no, digest, run_id, moved_at } = row;
  await trx
    .insertInto('tag_move')
    .values({ repository_id, tag, sequence, order_no, digest, run_id, moved_at })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Links the run that came too late with the one that holds the tag, if that one is still known. */
async function noteFence(trx: DatabaseTransaction, { runId, tag }: TagMove, holder: TagPointerRow): Promise<void> {
  await trx
    .insertInto('tag_fence')
    .columns(['run_id', 'tag', 'by_run_id'])
    .expression((eb) =>
      eb
        .selectFrom('run as older')
        .innerJoin('run as newer', (join) => join.on('newer.id', '=', holder.run_id))
        .where('older.id', '=', runId)
        .select(['older.id', eb.val(tag).as('tag'), 'newer.id as by_run_id']),
    )
    .onConflict((conflict) => conflict.columns(['run_id', 'tag']).doUpdateSet({ by_run_id: holder.run_id }))
    .execute();
}

const isRepeated = sql`tag_pointer.run_id = excluded.run_id and tag_pointer.digest = excluded.digest`;

export async function findTagPointer(
  db: Database | DatabaseTransaction,
  { repositoryId, tag }: { repositoryId: string; tag: string },
): Promise<TagPointerRow | undefined> {
  return db
    .selectFrom('tag_pointer')
    .selectAll()
    .where('repository_id', '=', repositoryId)
    .where('tag', '=', tag)
    .executeTakeFirst();
}

/** Throws when the row is gone, as when its repository was deleted meanwhile. */
export async function getTagPointer(
  db: Database | DatabaseTransaction,
  key: { repositoryId: string; tag: string },
): Promise<TagPointerRow> {
  const row = await findTagPointer(db, key);
  if (row === undefined) throw new Error(`The tag ${key.tag} of repository ${key.repositoryId} has no row any more.`);
  return row;
}

/** Whether a tag besides `tags` is meant to point at the digest. */
export async function isDigestTagged(
  db: Database,
  { repositoryId, digest, besides }: { repositoryId: string; digest: string; besides: readonly string[] },
): Promise<boolean> {
  const rows = await db
    .selectFrom('tag_pointer')
    .select('tag')
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .execute();
  return rows.some(({ tag }) => !besides.includes(tag));
}

/** Whether set tags of the repository stay where they are (docs/product.md, section 4, "tagImmutability"). */
export async function hasImmutableTags(db: Database, repositoryId: string): Promise<boolean> {
  const row = await db
    .selectFrom('repository')
    .select('tag_immutability')
    .where('id', '=', repositoryId)
    .executeTakeFirst();
  return row?.tag_immutability ?? false;
}

/** The tags a run moved, with their image, on its Record. */
export async function noteRunTags(
  db: Database,
  {
    runId,
    digest,
    tags,
    platforms,
  }: { runId: string; digest: string; tags: readonly string[]; platforms: readonly string[] },
): Promise<void> {
  const images = tags.map((tag) => ({ tag, digest, platforms }));
  await db
    .updateTable('run')
    .set({ digest, images: JSON.stringify(images) })
    .where('id', '=', runId)
    .execute();
}

/** Forgets tags that point at a deleted image; one that a newer run moved on stays. */
export async function deleteTagPointers(
  db: Database,
  { repositoryId, tags, digest }: { repositoryId: string; tags: readonly string[]; digest: string },
): Promise<void> {
  if (tags.length === 0) return;
  const gone = await db
    .deleteFrom('tag_pointer')
    .where('repository_id', '=', repositoryId)
    .where('tag', 'in', tags)
    .where('digest', '=', digest)
    .returning('tag')
    .execute();
  // A tag made anew begins a new history: an older image may be the first in it.
  const forgotten = gone.map(({ tag }) => tag);
  if (forgotten.length === 0) return;
  await db.deleteFrom('tag_move').where('repository_id', '=', repositoryId).where('tag', 'in', forgotten).execute();
}

/** Remembers where blobs are, for copies to mount from; known places stay as they are. */
export async function noteBlobs(
  db: Database,
  { instanceId, path, digests }: { instanceId: string; path: string; digests: readonly string[] },
): Promise<void> {
  if (digests.length === 0) return;
  await db
    .insertInto('blob_place')
    .values(digests.map((digest) => ({ instance_id: instanceId, path, digest })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
