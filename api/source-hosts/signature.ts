import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { SignatureCheck } from './source-host.ts';

export interface HmacCheck {
  /** One key per live secret; two during a rotation. */
  readonly keys: readonly Uint8Array[];
  /** What is signed before the body. */
  readonly prefix?: string;
  readonly encoding: 'hex' | 'base64';
  /** The signatures the headers claim, without their scheme. */
  readonly claimed: readonly string[];
  /** A claim refused before its signature, such as one too old: the work is the same, the answer is no. */
  readonly isRefused?: boolean;
}

/** HMAC-SHA256 over `prefix` and the bytes fed in; every key is compared with every claim, whatever matched before. */
export function hmacCheck({ keys, prefix = '', encoding, claimed, isRefused = false }: HmacCheck): SignatureCheck {
  const hmacs = keys.map((key) => createHmac('sha256', key).update(prefix));
  return {
    update(chunk) {
      for (const hmac of hmacs) hmac.update(chunk);
    },
    isValid() {
      const matches = hmacs
        .map((hmac) => hmac.digest(encoding))
        .flatMap((expected) => claimed.map((claim) => isSameText(expected, claim)));
      return !isRefused && matches.includes(true);
    },
  };
}

/** Compares the digests of both texts, so neither content nor length shows in the time it takes. */
function isSameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
