import { describe, expect, test } from 'vitest';
import { createMasker, maskText } from '../../domain/mask.ts';

const secret = 'pä ss/w+rd "1"';

function masked(text: string, secrets: readonly string[], at: readonly number[]): string {
  const masker = createMasker(secrets);
  const borders = [0, ...at, text.length];
  const pieces = borders.slice(1).map((end, index) => masker.push(text.slice(borders[index], end)));
  return pieces.join('') + masker.end();
}

describe('masking secrets', () => {
  test.for([
    ['raw', secret],
    ['URL-encoded', encodeURIComponent(secret)],
    ['JSON-escaped', JSON.stringify(secret).slice(1, -1)],
    ['base64', Buffer.from(secret).toString('base64').replace(/=+$/, '')],
  ])('a secret that appears %s is masked wherever the stream is split', ([, form = '']) => {
    const text = `before ${form} after`;
    for (let border = 0; border <= text.length; border += 1) {
      const shown = masked(text, [secret], [border]);
      expect(shown.startsWith('before ***'), `split at ${border}: ${shown}`).toBe(true);
      expect(shown).toMatch(/^before \*\*\*.? after$/);
    }
  });

  test('a secret within a longer base64 value is masked but for the characters it shares with its neighbours', () => {
    for (const user of ['a', 'ab', 'abc', 'abcd']) {
      const shown = maskText(`Basic ${Buffer.from(`${user}:s3cr3t-password`).toString('base64')}`, ['s3cr3t-password']);
      expect(shown).toMatch(/^Basic [A-Za-z0-9]{0,8}\*\*\*[A-Za-z0-9=]{0,3}$/);
    }
  });

  test('the longer of two secrets with one beginning is masked whole, one character at a time', () => {
    const text = 'x token-1234 y token-1234-and-more z';
    const shown = masked(
      text,
      ['token-1234', 'token-1234-and-more'],
      Array.from({ length: text.length }, (_, index) => index),
    );
    expect(shown).toBe('x *** y *** z');
  });

  test('each line of a secret of several lines is masked, and so is the whole', () => {
    const key = '-----BEGIN KEY-----\nMIIabcdef\n-----END KEY-----';
    expect(maskText(`key: ${key}.`, [key])).toBe('key: ***.');
    expect(maskText('#5 MIIabcdef', [key])).toBe('#5 ***');
  });

  test('a value of fewer than six characters is not masked, as it would eat ordinary text', () => {
    expect(maskText('a step of a build', ['a', 'build'])).toBe('a step of a build');
  });

  test('text is held back only while it may become a secret', () => {
    const masker = createMasker(['secret-value']);
    expect(masker.push('progress 10% sec')).toBe('progress 10% ');
    expect(masker.push('ond')).toBe('second');
    expect(masker.push(' secret-val')).toBe(' ');
    expect(masker.end()).toBe('secret-val');
  });
});
