import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SecretUnreadable, createSecretBox, parseKeyFile } from '../../activities/drivers/secret-box.ts';

const binding = { ownerId: 'crn-1', id: 'sec-1', kind: 'trigger', version: 1 };

describe('the secret box', () => {
  it('gives back what was sealed, and seals the same value differently each time', () => {
    const box = createSecretBox({ keys: [randomBytes(32)] });
    const [one, two] = [box.seal('größe 🔑', binding), box.seal('größe 🔑', binding)];
    expect(box.open(one, binding)).toBe('größe 🔑');
    expect(one.ciphertext.equals(two.ciphertext)).toBe(false);
    expect(box.open(box.seal('', binding), binding)).toBe('');
  });

  it.each([{ ownerId: 'crn-2' }, { id: 'sec-2' }, { kind: 'hook' }, { version: 2 }])(
    'does not open a value that was moved to %o',
    (change) => {
      const box = createSecretBox({ keys: [randomBytes(32)] });
      expect(() => box.open(box.seal('value', binding), { ...binding, ...change })).toThrow(SecretUnreadable);
    },
  );

  it('does not open a value with any bit changed', () => {
    const box = createSecretBox({ keys: [randomBytes(32)] });
    const { keyId, ciphertext } = box.seal('value', binding);
    for (let index = 0; index < ciphertext.length; index += 1) {
      const changed = Buffer.from(ciphertext);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      expect(() => box.open({ keyId, ciphertext: changed }, binding)).toThrow(
        'The secret sec-1 does not open: it was changed or moved.',
      );
    }
  });

  it('seals with the first key and still opens with an older one; an unknown one is named', () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)];
    const before = createSecretBox({ keys: [older] });
    const after = createSecretBox({ keys: [newer, older] });
    expect(after.open(before.seal('value', binding), binding)).toBe('value');
    expect(() => before.open(after.seal('value', binding), binding)).toThrow(
      /^The key "[0-9a-f]{12}" that sealed sec-1 is not known\.$/,
    );
  });

  it('derives other keys that are stable, differ by purpose, and are not the sealing key', () => {
    const key = randomBytes(32);
    const [one, same] = [createSecretBox({ keys: [key] }), createSecretBox({ keys: [key] })];
    expect(one.deriveKey('cursor').equals(same.deriveKey('cursor'))).toBe(true);
    expect(one.deriveKey('cursor').equals(one.deriveKey('other'))).toBe(false);
    expect(one.deriveKey('cursor').equals(key)).toBe(false);
  });

  it('reads a key file of one key a line, and refuses keys of another length', () => {
    const keys = [randomBytes(32), randomBytes(32)];
    const text = `${keys.map((key) => key.toString('base64')).join('\n')}\n`;
    expect(parseKeyFile(text)).toEqual(keys);
    expect(() => createSecretBox({ keys: [randomBytes(16)] })).toThrow(
      'A secret box needs at least one key, each of 32 bytes.',
    );
    expect(() => createSecretBox({ keys: parseKeyFile('') })).toThrow('at least one key');
  });
});
