import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';

/**
 * The tag fence: what a tag should point at. The row is the intent, the registry follows; an older `order_no` never moves a
 * tag past a newer one, whichever ends first (docs/product.md, section 12, "Tag fence").
 */
export interface TagPointerTable {
  repository_id: string;
  tag: string;
  order_no: number;
  digest: string;
  previous_digest: string | null;
  run_id: string;
  /** Grows with every move of this tag; `sequence` of a trigger's body. */
  sequence: number;
  moved_at: ColumnType<Date, Date, Date>;
}

/** Every move of a tag since it was made, the newest too; along `id` its `order_no` never falls. */
export interface TagMoveTable {
  id: Generated<number>;
  repository_id: string;
  tag: string;
  sequence: number;
  order_no: number;
  digest: string;
  run_id: string;
  moved_at: Date;
}

/** A tag an older run built for and did not move, as a newer run holds it. */
export interface TagFenceTable {
  run_id: string;
  tag: string;
  by_run_id: string;
}

/** Blobs known to be in a repository of an instance: where replication may mount from. */
export interface BlobPlaceTable {
  instance_id: string;
  /** `namespace/repository`. */
  path: string;
  digest: string;
}

export type TagPointerRow = Selectable<TagPointerTable>;
export type NewTagPointer = Insertable<TagPointerTable>;
export type BlobPlaceRow = Selectable<BlobPlaceTable>;
