import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseTokenKey } from '../../activities/drivers/token-key.ts';
import { openKeys } from '../../stack/keys.ts';

let home: string;
let other: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slipway-keys-'));
  other = await mkdtemp(join(tmpdir(), 'slipway-keys-'));
});

afterEach(async () => {
  for (const folder of [home, other]) await rm(folder, { recursive: true, force: true });
});

test('a later start finds the same secrets', async () => {
  const first = await openKeys(home);

  expect(await openKeys(home)).toEqual(first);
});

test('two installations share no secret', async () => {
  const [mine, theirs] = [await openKeys(home), await openKeys(other)];

  expect(mine.adminToken).not.toBe(theirs.adminToken);
  for (const [name, password] of Object.entries(mine.passwords)) {
    expect(Object.values(theirs.passwords), name).not.toContain(password);
    expect(password.length, name).toBeGreaterThanOrEqual(20);
  }
  expect(await readFile(mine.files.kek, 'utf8')).not.toBe(await readFile(theirs.files.kek, 'utf8'));
});

test('every file with a secret is readable by its owner only', async () => {
  await openKeys(home);

  for (const name of await readdir(join(home, 'keys'))) {
    expect((await stat(join(home, 'keys', name))).mode & 0o777, name).toBe(0o600);
  }
});

test('registries get the public half of the token key, under the id its tokens name', async () => {
  const { files } = await openKeys(home);
  const { kid, publicJwk } = parseTokenKey(await readFile(files.tokenKey, 'utf8'));

  expect(JSON.parse(await readFile(files.jwks, 'utf8'))).toEqual({
    keys: [{ ...publicJwk, kid, alg: 'ES256', use: 'sig' }],
  });
});
