import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { SignatureCheck } from './source-host.ts';

export interface HmacCheck {
  /** One key per live secret, two during a rotation; a text is its UTF-8. */
  readonly keys: readonly (string | Uint8Array)[];
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
      const isMatch = isAmong(
        hmacs.map((hmac) => hmac.digest(encoding)),
        claimed,
      );
      return isMatch && !isRefused;
    },
  };
}

/** HMAC-SHA256 in hex over the body alone, as most hosts sign, with the secret's text as the key. */
export function hexCheck(secrets: readonly string[], claimed: string | undefined): SignatureCheck {
  return hmacCheck({
    keys: secrets,
    encoding: 'hex',
    claimed: [claimed?.toLowerCase() ?? ''],
  });
}

/** The hex of a header `sha256=<hex>`, or undefined. */
export function sha256Header(header: string | null): string | undefined {
  return /^sha256=([0-9a-f]{64})$/i.exec(header ?? '')?.[1];
}

/**
 * The header holds what is expected itself, not a signature of the body. The body is hashed all the same: how long an answer takes
 * must not tell an address of such a host from one that nobody has.
 */
export function tokenCheck({
  expected,
  claimed,
  isRefused = false,
}: {
  /** At least one per live secret. */
  readonly expected: readonly string[];
  readonly claimed: readonly string[];
  readonly isRefused?: boolean;
}): SignatureCheck {
  const sameWork = createHmac('sha256', randomBytes(32));
  return {
    update: (chunk) => void sameWork.update(chunk),
    isValid() {
      sameWork.digest();
      return isAmong(expected, claimed) && !isRefused;
    },
  };
}

function isAmong(expected: readonly string[], claimed: readonly string[]): boolean {
  return expected.flatMap((one) => claimed.map((claim) => isSameText(one, claim))).includes(true);
}

/** Compares the digests of both texts, so neither content nor length shows in the time it takes. */
function isSameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
