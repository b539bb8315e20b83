import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';

/** A collection of images of one application (docs/product.md, section 4). */
export interface RepositoryTable {
  id: string;
  namespace_id: string;
  name: string;
  type: 'public' | 'private';
  tag_immutability: boolean;
  summary: string;
  description: string;
  is_auto_build: boolean;
  is_no_cache: boolean;
  /** Whose workers build; null: the instance's own region. */
  build_region: Generated<string | null>;
  created_at: ColumnType<Date, Date | undefined, never>;
}

export type RepositoryRow = Selectable<RepositoryTable>;
export type NewRepository = Insertable<RepositoryTable>;
export type RepositoryUpdate = Updateable<RepositoryTable>;
