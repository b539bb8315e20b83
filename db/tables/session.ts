import type { ColumnType, Insertable, Selectable } from 'kysely';

/** A console session; the cookie's value is stored hashed (docs/product.md, section 14). */
export interface SessionTable {
  token_hash: string;
  actor: string;
  created_at: ColumnType<Date, Date, never>;
  last_seen_at: Date;
}

/** A code of the printed address that logs in once. */
export interface LoginCodeTable {
  code_hash: string;
  expires_at: Date;
}

/** An answered `Idempotency-Key`; kept 24 hours per caller and path. */
export interface IdempotencyKeyTable {
  actor: string;
  path: string;
  key: string;
  body_sha256: string;
  /** null while the first request is in flight. */
  status: number | null;
  answer: string | null;
  headers: ColumnType<unknown, string | null, string | null>;
  created_at: ColumnType<Date, Date, Date>;
}

export type SessionRow = Selectable<SessionTable>;
export type NewSession = Insertable<SessionTable>;
export type IdempotencyKeyRow = Selectable<IdempotencyKeyTable>;
