import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, it } from 'vitest';
import { parseTokenKey, publicJwks } from '../../activities/drivers/token-key.ts';

const newKey = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' });

describe('the token key', () => {
  it('has the RFC 7638 thumbprint as its id, and shows its public half alone', async () => {
    const jwk = newKey('P-256');
    const key = parseTokenKey(JSON.stringify(jwk));
    expect(key.kid).toBe(await calculateJwkThumbprint(jwk));
    expect(publicJwks(key)).not.toContain(jwk.d);
    expect(JSON.parse(publicJwks(key, key)).keys).toHaveLength(2);
  });

  it.each([
    ['nothing', ''],
    ['a public key', JSON.stringify({ ...newKey('P-256'), d: undefined })],
    ['another curve', JSON.stringify(newKey('P-384'))],
    [
      'an RSA key',
      JSON.stringify(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })),
    ],
  ])('is refused when the file holds %s', (_what, text) => {
    expect(() => parseTokenKey(text)).toThrow(
      'The token key must be a P-256 (ES256) private key as JWK: {"kty":"EC","crv":"P-256","x","y","d"}.',
    );
  });
});
