import type { ColumnType, Insertable, Selectable, Updateable } from 'kysely';

/** A collection of repositories of one instance (docs/product.md, section 3). */
export interface NamespaceTable {
  id: string;
  instance_id: string;
  name: string;
  auto_create_repository: boolean;
  default_repository_type: 'public' | 'private';
  default_tag_immutability: boolean;
  created_at: ColumnType<Date, Date | undefined, never>;
}

export type NamespaceRow = Selectable<NamespaceTable>;
export type NewNamespace = Insertable<NamespaceTable>;
export type NamespaceUpdate = Updateable<NamespaceTable>;
