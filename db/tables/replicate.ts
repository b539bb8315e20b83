import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { ReplicationRuleDefinition } from '../../domain/replicate.ts';
import type { Json } from '../json.ts';

/** What is copied where (docs/product.md, section 10). */
export interface ReplicationRuleTable {
  id: string;
  instance_id: string;
  name: string;
  definition: Json<ReplicationRuleDefinition>;
  enabled: boolean;
  /** Grows with every change; the ETag. */
  version: Generated<number>;
  created_at: ColumnType<Date, Date | undefined, never>;
}

/** One image on its way to one destination; natural key (run_id, destination_key). */
export interface ReplicationTaskTable {
  id: string;
  run_id: string | null;
  rule_id: string;
  digest: string;
  /** `instance/namespace/repository:tag`. */
  destination_key: string;
  status: 'pending' | 'running' | 'success' | 'failed' | 'canceled';
  issue: string | null;
  reason: Json<Reason | null>;
  bytes_total: Generated<number>;
  bytes_copied: Generated<number>;
  blobs_copied: Generated<number>;
  blobs_mounted: Generated<number>;
  blobs_skipped: Generated<number>;
  attempts: Generated<number>;
  created_at: ColumnType<Date, Date, never>;
  started_at: Date | null;
  ended_at: Date | null;
  verified_at: Date | null;
}

export type ReplicationRuleRow = Selectable<ReplicationRuleTable>;
export type NewReplicationRule = Insertable<ReplicationRuleTable>;
export type ReplicationRuleUpdate = Updateable<ReplicationRuleTable>;
export type ReplicationTaskRow = Selectable<ReplicationTaskTable>;
export type NewReplicationTask = Insertable<ReplicationTaskTable>;
export type ReplicationTaskUpdate = Updateable<ReplicationTaskTable>;
