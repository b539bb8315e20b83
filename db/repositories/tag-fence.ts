import type { Database } from '../database.ts';

/** A tag with the other run of its fence. */
export interface TagFence {
  readonly tag: string;
  readonly run: { readonly id: string; readonly number: number };
}

/** Tags of a run that newer runs hold, and tags this run keeps from older ones (docs/product.md, section 12, "Tag fence"). */
export async function listTagFences(
  db: Database,
  runId: string,
): Promise<{ readonly heldBy: readonly TagFence[]; readonly keptFrom: readonly TagFence[] }> {
  const [heldBy, keptFrom] = await Promise.all([
    db
      .selectFrom('tag_fence')
      .innerJoin('run', 'run.id', 'tag_fence.by_run_id')
      .select(['tag_fence.tag', 'run.id', 'run.number'])
      .where('tag_fence.run_id', '=', runId)
      .orderBy('tag_fence.tag')
      .execute(),
    db
      .selectFrom('tag_fence')
      .innerJoin('run', 'run.id', 'tag_fence.run_id')
      .select(['tag_fence.tag', 'run.id', 'run.number'])
      .where('tag_fence.by_run_id', '=', runId)
      .orderBy('run.order_no')
      .orderBy('tag_fence.tag')
      .execute(),
  ]);
  return { heldBy: heldBy.map(toFence), keptFrom: keptFrom.map(toFence) };
}

function toFence({ tag, id, number }: { tag: string; id: string; number: number }): TagFence {
  return { tag, run: { id, number } };
}
