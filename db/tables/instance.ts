import type { ColumnType, Insertable, Selectable, Updateable } from 'kysely';

/** One OCI registry under Slipway (docs/product.md, section 2). */
export interface InstanceTable {
  id: string;
  name: string;
  region: string;
  kind: 'managed' | 'external';
  registry_url: string;
  edition: 'personal' | 'basic' | 'advanced';
  status: 'running' | 'stopped';
  /** Secret with the login of an external registry. */
  credential_ref: string | null;
  created_at: ColumnType<Date, Date | undefined, never>;
}

export type InstanceRow = Selectable<InstanceTable>;
export type NewInstance = Insertable<InstanceTable>;
export type InstanceUpdate = Updateable<InstanceTable>;
