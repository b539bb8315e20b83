import type { ColumnType, Insertable, Selectable } from 'kysely';

/** A namespace's secret that build rules name by `secretRef`; the value is sealed in `secret` (docs/product.md, X-09). */
export interface BuildSecretTable {
  id: string;
  namespace_id: string;
  /** Unique in the namespace. */
  name: string;
  secret_ref: string;
  created_at: ColumnType<Date, Date | undefined, never>;
  updated_at: Date;
}

export type BuildSecretRow = Selectable<BuildSecretTable>;
export type NewBuildSecret = Insertable<BuildSecretTable>;
