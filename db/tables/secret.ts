import type { ColumnType, Insertable, Selectable } from 'kysely';

/** A sealed value: AES-256-GCM, bound to its owner, id, kind and version. `credentialRef` elsewhere is this table's id. */
export interface SecretTable {
  id: string;
  /** Namespace or instance id; part of what the seal authenticates. */
  owner_id: string;
  kind: string;
  version: number;
  key_id: string;
  ciphertext: Buffer;
  created_at: ColumnType<Date, Date | undefined, never>;
}

export type SecretRow = Selectable<SecretTable>;
export type NewSecret = Insertable<SecretTable>;
