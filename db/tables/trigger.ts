import type { ColumnType, Insertable, Selectable, Updateable } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { DeliveryStatus, TriggerDefinition } from '../../domain/trigger.ts';
import type { Json } from '../json.ts';

/** Rule for outgoing calls, of a repository or of a namespace (docs/product.md, section 11). */
export interface TriggerTable {
  id: string;
  namespace_id: string;
  /** null: the trigger is the namespace's. */
  repository_id: string | null;
  name: string;
  definition: Json<TriggerDefinition>;
  /** Secret that signs deliveries. */
  secret_ref: string;
  enabled: boolean;
  disabled_reason: Json<Reason | null>;
  /** Both null after a success; see `failureSpan`. */
  first_failure_at: Date | null;
  failing_since: Date | null;
  created_at: ColumnType<Date, Date | undefined, never>;
}

/** One message to one target; `webhook_id` stays the same over retries and resends. */
export interface DeliveryTable {
  id: string;
  trigger_id: string;
  run_id: string | null;
  webhook_id: string;
  event: 'image.updated' | 'test';
  tag: string | null;
  digest: string | null;
  /** The exact text that is signed and sent. */
  body: string;
  status: DeliveryStatus;
  reason: Json<Reason | null>;
  resends: ColumnType<number, number | undefined, number>;
  next_attempt_at: Date | null;
  created_at: ColumnType<Date, Date, never>;
  ended_at: Date | null;
}

/** One request; written `sending` before it leaves. */
export interface DeliveryAttemptTable {
  delivery_id: string;
  number: number;
  state: 'sending' | 'ended';
  at: Date;
  duration_ms: number | null;
  status_code: number | null;
  /** `timeout`, `dns`, `connect`, `tls`, `blocked`, `closed`, `protocol`, `busy`, `unknown`: why there was no answer. */
  error_class: string | null;
  request_headers: Json<Readonly<Record<string, string>>>;
  request_body: string;
  response_headers: Json<Readonly<Record<string, string>> | null>;
  response_body: string | null;
}

export type TriggerRow = Selectable<TriggerTable>;
export type NewTrigger = Insertable<TriggerTable>;
export type TriggerUpdate = Updateable<TriggerTable>;
export type DeliveryRow = Selectable<DeliveryTable>;
export type NewDelivery = Insertable<DeliveryTable>;
export type DeliveryUpdate = Updateable<DeliveryTable>;
export type DeliveryAttemptRow = Selectable<DeliveryAttemptTable>;
