import { generateKeyPairSync, sign } from 'node:crypto';

/** A key and a certificate it signed itself, for `localhost` and `127.0.0.1` (PEM). */
export interface SelfSigned {
  readonly key: string;
  readonly certificate: string;
}

/** Makes one that is valid for a day; with `isExpired`, one that ended yesterday. */
export function selfSigned({ isExpired = false }: { isExpired?: boolean } = {}): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const dayMs = 24 * 3_600_000;
  const from = Date.now() - 2 * dayMs;
  const until = isExpired ? Date.now() - dayMs : Date.now() + dayMs;
  const name = sequence(set(sequence(oid([2, 5, 4, 3]), der(0x0c, Buffer.from('localhost')))));
  const algorithm = sequence(oid([1, 2, 840, 10_045, 4, 3, 2]));
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    algorithm,
    name,
    sequence(time(from), time(until)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(alternativeNames())),
  );
  const signature = sign('sha256', content, privateKey);
  const certificate = sequence(content, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const base64 = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}

function alternativeNames(): Buffer {
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])));
  return sequence(oid([2, 5, 29, 17]), der(0x04, names));
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function set(part: Buffer): Buffer {
  return der(0x31, part);
}

function oid([first = 0, second = 0, ...rest]: readonly number[]): Buffer {
  const base128 = (value: number): number[] =>
    value < 128 ? [value] : [...base128(value >> 7).map((byte) => byte | 0x80), value & 0x7f];
  return der(0x06, Buffer.from([40 * first + second, ...rest.flatMap(base128)]));
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return der(0x18, Buffer.from(text));
}
