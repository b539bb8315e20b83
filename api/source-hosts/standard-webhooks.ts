import { Buffer } from 'node:buffer';
import { hmacCheck } from './signature.ts';
import type { SignatureCheck } from './source-host.ts';

/** How far the sender's clock may be off; an older request is a replay. */
const toleranceSeconds = 300;

/** Standard Webhooks: `webhook-signature` holds `v1,<base64>` over `webhook-id.webhook-timestamp.body`; a secret is `whsec_<base64>`. */
export function standardWebhooksCheck(
  headers: Headers,
  { secrets, now }: { readonly secrets: readonly string[]; readonly now: Date },
): SignatureCheck {
  const id = headers.get('webhook-id') ?? '';
  const timestamp = headers.get('webhook-timestamp') ?? '';
  const isFresh =
    /^\d{1,12}$/.test(timestamp) && Math.abs(now.getTime() / 1_000 - Number(timestamp)) <= toleranceSeconds;
  return hmacCheck({
    keys: secrets.map((secret) => Buffer.from(secret.replace(/^whsec_/, ''), 'base64')),
    prefix: `${id}.${timestamp}.`,
    encoding: 'base64',
    claimed: claimedSignatures(headers.get('webhook-signature') ?? ''),
    isRefused: id === '' || !isFresh,
  });
}

/** At most ten are looked at: a sender that rotates its key signs with two. */
function claimedSignatures(header: string): readonly string[] {
  return header
    .split(' ')
    .filter((part) => part.startsWith('v1,'))
    .slice(0, 10)
    .map((part) => part.slice(3));
}
