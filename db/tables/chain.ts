import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { ChainDefinition } from '../../domain/chain.ts';
import type { Json } from '../json.ts';

/** A delivery chain; `scope_key` is unique among enabled chains of an instance: one chain per scope (docs/product.md, section 8). */
export interface ChainTable {
  id: string;
  instance_id: string;
  name: string;
  definition: Json<ChainDefinition>;
  scope_key: string;
  enabled: boolean;
  version: Generated<number>;
  /** The number the next run gets. */
  next_run_number: Generated<number>;
  created_at: ColumnType<Date, Date | undefined, never>;
  updated_at: ColumnType<Date, Date | undefined, Date>;
}

/** Every version of a chain's definition, the newest too. */
export interface ChainVersionTable {
  chain_id: string;
  version: number;
  definition: Json<ChainDefinition>;
  created_at: ColumnType<Date, Date | undefined, never>;
}

export type ChainRow = Selectable<ChainTable>;
export type NewChain = Insertable<ChainTable>;
export type ChainUpdate = Updateable<ChainTable>;
export type ChainVersionRow = Selectable<ChainVersionTable>;
