import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** What a sealed value is bound to: moved to another row, owner or version, it no longer opens. */
export interface SecretBinding {
  readonly ownerId: string;
  readonly id: string;
  readonly kind: string;
  readonly version: number;
}

export interface SealedSecret {
  /** The key it was sealed with. */
  readonly keyId: string;
  /** Nonce (12 bytes), ciphertext, tag (16 bytes). */
  readonly ciphertext: Buffer;
}

/** Seals secrets for the database: AES-256-GCM, bound to owner, id, kind and version (docs/product.md, section 5). */
export interface SecretBox {
  seal(value: string, binding: SecretBinding): SealedSecret;
  /** Throws `SecretUnreadable` when the key is unknown, or the value was changed or moved. */
  open(sealed: SealedSecret, binding: SecretBinding): string;
  /** A key for one other purpose, such as signing cursors; never a sealing key itself. */
  deriveKey(purpose: string): Buffer;
}

/** A sealed value that cannot be opened: its key is not in the key file, or the row was tampered with. */
export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable';
}

const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** The first of `keys` (32 bytes each) seals, all of them open: a new key is put in front, the old one stays until nothing uses it. */
export function createSecretBox({ keys }: { keys: readonly Buffer[] }): SecretBox {
  const [current] = keys;
  if (current === undefined || keys.some((key) => key.length !== keyBytes))
    throw new Error(`A secret box needs at least one key, each of ${keyBytes} bytes.`);
  // As objects: node:crypto takes six times as long to open with the bytes of a key.
  const byId = new Map(keys.map((key) => [keyIdOf(key), createSecretKey(key)]));
  return {
    seal(value, binding) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', current, nonce).setAAD(boundTo(binding));
      const ciphertext = Buffer.concat([nonce, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return { keyId: keyIdOf(current), ciphertext };
    },
    open({ keyId, ciphertext }, binding) {
      const key = byId.get(keyId);
      if (key === undefined) throw new SecretUnreadable(`The key "${keyId}" that sealed ${binding.id} is not known.`);
      return openWith(key, ciphertext, binding);
    },
    deriveKey: (purpose) => Buffer.from(hkdfSync('sha256', current, '', `slipway ${purpose}`, keyBytes)),
  };
}

/** Reads a key file: one key a line in base64, the newest first. */
export function parseKeyFile(text: string): Buffer[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map((line) => Buffer.from(line, 'base64'));
}

function openWith(key: KeyObject, ciphertext: Buffer, binding: SecretBinding): string {
  const nonce = ciphertext.subarray(0, nonceBytes);
  const body = ciphertext.subarray(nonceBytes, -tagBytes);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
      .setAAD(boundTo(binding))
      .setAuthTag(ciphertext.subarray(-tagBytes));
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  } catch (error) {
    throw new SecretUnreadable(`The secret ${binding.id} does not open: it was changed or moved.`, { cause: error });
  }
}

function boundTo({ ownerId, id, kind, version }: SecretBinding): Buffer {
  return Buffer.from([ownerId, id, kind, version].join('|'));
}

/** Names a key without giving it away. */
function keyIdOf(key: Buffer): string {
  return createHash('sha256').update('slipway key id').update(key).digest('hex').slice(0, 12);
}
