import { randomBytes, randomInt } from 'node:crypto';

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
type IdPrefix = 'cri' | 'crn' | 'crr' | 'crbr' | 'crbi' | 'chi' | 'crsr' | 'rst' | 'crw' | 'src' | 'sec' | 'bsec';

/** A new id of a configured thing: ACR's prefix and 16 characters (docs/product.md, "Ids"). */
export function newId(prefix: IdPrefix): string {
  return `${prefix}-${Array.from({ length: 16 }, () => alphabet[randomInt(alphabet.length)]).join('')}`;
}

/** A new UUIDv7 for runs, builds, scans and deliveries: sorted by time, so indexes stay compact. */
export function newUuid(now: Date): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now.getTime(), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A new `webhook-id`: without `.`, as Standard Webhooks ask. */
export function newWebhookId(): string {
  return `msg_${randomBytes(16).toString('hex')}`;
}
