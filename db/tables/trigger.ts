import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { AttemptError, DeliveryStatus, TriggerDefinition } from '../../domain/trigger.ts';
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
  /** The secret before a rotation; both sign until the time beside it. */
  previous_secret_ref: Generated<string | null>;
  previous_secret_until: Generated<Date | null>;
  enabled: boolean;
  /** Grows with every change; the ETag. */
  version: Generated<number>;
  disabled_reason: Json<Reason | null>;
  /** Null after a success; with the next, see `failureSpan`. */
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
  /** Why there was no answer. */
  error_class: AttemptError | null;
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
