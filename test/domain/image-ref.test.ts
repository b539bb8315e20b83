import { describe, expect, test } from 'vitest';
import { formatImageRef, isRepositoryPath, isTag, parseImageRef } from '../../domain/image-ref.ts';

const digest = `sha256:${'a1'.repeat(32)}`;

describe('an image reference', () => {
  test.for([
    ['127.0.0.1:5001/shop/web', { registry: '127.0.0.1:5001', repository: 'shop/web' }],
    ['127.0.0.1:5001/shop/web:v1', { registry: '127.0.0.1:5001', repository: 'shop/web', tag: 'v1' }],
    ['registry.example.com/a/b/c:V1.0_x-y', { registry: 'registry.example.com', repository: 'a/b/c', tag: 'V1.0_x-y' }],
    [`localhost/web@${digest}`, { registry: 'localhost', repository: 'web', digest }],
    [`r.example:443/web:v1@${digest}`, { registry: 'r.example:443', repository: 'web', tag: 'v1', digest }],
    ['[::1]:5000/web', { registry: '[::1]:5000', repository: 'web' }],
    ['r.example/a__b/c--d.e', { registry: 'r.example', repository: 'a__b/c--d.e' }],
  ] as const)('%s is taken apart and put together again', ([text, parts]) => {
    expect(parseImageRef(text)).toEqual(parts);
    expect(formatImageRef(parts)).toBe(text);
  });

  test.for([
    ['web', 'no registry'],
    ['library/web', 'a first component that is no host'],
    ['r.example/', 'no repository'],
    ['r.example/Web', 'an upper-case repository'],
    ['r.example/web:', 'an empty tag'],
    ['r.example/web:-v1', 'a tag that starts with a dash'],
    [`r.example/web:${'v'.repeat(129)}`, 'a tag of 129 characters'],
    ['r.example/web:a:b', 'two tags'],
    ['r.example/web@sha256:abc', 'a short digest'],
    [`r.example/web@${digest.toUpperCase()}`, 'an upper-case digest'],
    [`r.example/web@sha512:${'a'.repeat(128)}`, 'another algorithm'],
    [`r.example/web@${digest}@${digest}`, 'two digests'],
    ['r.example/../web', 'a path that climbs'],
    ['r.example//web', 'an empty path component'],
    ['r.example/a%2fb', 'an escaped slash'],
    ['r.example:0/web', 'port 0'],
    ['r.example:70000/web', 'a port past 65535'],
    ['https://r.example/web', 'a URL'],
    ['r.example/web\n', 'a line end'],
  ])('%j is refused: %s', ([text]) => {
    expect(parseImageRef(text ?? '')).toBeUndefined();
  });
});

test('a tag holds at most 128 of the characters the registry protocol allows', () => {
  expect(isTag('v'.repeat(128))).toBe(true);
  expect(isTag('latest_accelerated')).toBe(true);
  expect(isTag('v'.repeat(129))).toBe(false);
  expect(isTag('feature/x')).toBe(false);
  expect(isTag('')).toBe(false);
});

test('a repository path holds at most 255 characters', () => {
  expect(isRepositoryPath('a'.repeat(255))).toBe(true);
  expect(isRepositoryPath('a'.repeat(256))).toBe(false);
});
