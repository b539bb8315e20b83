import type { ColumnType, Insertable, Selectable } from 'kysely';

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
