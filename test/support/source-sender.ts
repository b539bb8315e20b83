import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SourceChange, SourceHost } from '../../domain/source.ts';
import type { SourceDelivery } from './source-push.ts';

/** What a source host tells in one delivery, and the changes it means by it. */
export interface HostPush {
  readonly event: string;
  readonly body: unknown;
  readonly means: readonly Pick<SourceChange, 'ref' | 'refType' | 'commit'>[];
}

/** One way a source host calls: its real payloads, signed with a secret of the test's. */
export interface SourceSender {
  readonly host: SourceHost;
  readonly pushes: {
    readonly branch: HostPush;
    readonly tag: HostPush;
    readonly remove: HostPush;
    readonly force: HostPush;
    /** null: this host sends one delivery for each ref. */
    readonly several: HostPush | null;
  };
  /** The header that proves the sender. */
  readonly proof: string;
  readonly idHeader: string | null;
  /** How old a delivery may be, in seconds; null: its proof carries no time. */
  readonly maxAgeSeconds: number | null;
  headers(call: SenderCall): Record<string, string>;
}

export interface SenderCall {
  readonly secret: string;
  readonly event: string;
  readonly body: string;
  readonly deliveryId: string;
  readonly at: Date;
}

/** A delivery as the sender makes it. */
export function deliveryOf(
  sender: SourceSender,
  {
    secret,
    push,
    at,
    body = JSON.stringify(push.body),
    deliveryId = randomUUID(),
  }: { secret: string; push: HostPush; at: Date; body?: string; deliveryId?: string },
): SourceDelivery {
  const headers = sender.headers({ secret, event: push.event, body, deliveryId, at });
  return { body, headers: { 'content-type': 'application/json', ...headers } };
}

export const jsonObject = z.record(z.string(), z.unknown());
export const zero = '0'.repeat(40);

/** A host's own payload, by its path under `test/fixtures/hooks`. */
export function fixture(path: string): Record<string, unknown> {
  const text = readFileSync(join(import.meta.dirname, '..', 'fixtures', 'hooks', `${path}.json`), 'utf8');
  return jsonObject.parse(JSON.parse(text));
}

/** HMAC-SHA256 as most hosts write it. */
export const hex = (secret: string, body: string) => createHmac('sha256', secret).update(body).digest('hex');
