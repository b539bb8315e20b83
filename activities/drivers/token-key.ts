import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';

/** The ES256 key of the token service; `kid` is the RFC 7638 thumbprint, so that a new key has a new id by itself. */
export interface TokenKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly publicJwk: PublicJwk;
}

export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
}

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const privateJwkSchema = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: coordinate,
  y: coordinate,
  d: coordinate,
});

/** Reads the token key file: a P-256 private key as JWK. Throws with a sentence when it is something else. */
export function parseTokenKey(text: string): TokenKey {
  const parsed = privateJwkSchema.safeParse(readJson(text));
  if (!parsed.success)
    throw new Error(
      'The token key must be a P-256 (ES256) private key as JWK: {"kty":"EC","crv":"P-256","x","y","d"}.',
    );
  const { kty, crv, x, y, d } = parsed.data;
  const privateKey = createPrivateKey({ key: { kty, crv, x, y, d }, format: 'jwk' });
  const publicJwk = { kty, crv, x, y };
  return { kid: thumbprint(publicJwk), privateKey, publicKey: createPublicKey(privateKey), publicJwk };
}

/** The JWKS file a registry checks tokens with (`auth.token.jwks` of distribution); several keys while one is being replaced. */
export function publicJwks(...keys: readonly TokenKey[]): string {
  return JSON.stringify({ keys: keys.map(({ kid, publicJwk }) => ({ ...publicJwk, kid, use: 'sig', alg: 'ES256' })) });
}

function thumbprint({ crv, kty, x, y }: PublicJwk): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
