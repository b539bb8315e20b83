import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { parseTokenKey, publicJwks } from '../activities/drivers/token-key.ts';

const passwordsSchema = z.strictObject({
  postgres: z.string(),
  objectStoreAccessKey: z.string(),
  objectStoreSecretKey: z.string(),
  registryHttp: z.string(),
  git: z.string(),
});

/** Every secret of one embedded stack. Files are 0600; nothing has a default. */
export interface Keys {
  /** What the API and the worker read for themselves. */
  readonly files: {
    readonly kek: string;
    readonly tokenKey: string;
    /** Public half of the token key, for the registries. */
    readonly jwks: string;
    readonly adminToken: string;
  };
  readonly adminToken: string;
  readonly passwords: z.infer<typeof passwordsSchema>;
}

/** Reads the secrets of a stack folder; the first boot makes them. */
export async function openKeys(home: string): Promise<Keys> {
  const folder = join(home, 'keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = {
    kek: join(folder, 'kek'),
    tokenKey: join(folder, 'token-key.json'),
    jwks: join(folder, 'jwks.json'),
    adminToken: join(folder, 'admin-token'),
  };
  await kept(files.kek, () => randomBytes(32).toString('base64'));
  const tokenKey = await kept(files.tokenKey, newTokenKey);
  await writeFile(files.jwks, publicJwks(parseTokenKey(tokenKey)), { mode: 0o600 });
  const adminToken = await kept(files.adminToken, newAdminToken);
  const passwords = await kept(join(folder, 'passwords.json'), () => JSON.stringify(newPasswords()));
  return { files, adminToken, passwords: passwordsSchema.parse(JSON.parse(passwords)) };
}

async function kept(file: string, make: () => string): Promise<string> {
  const found = await readFile(file, 'utf8').catch(() => undefined);
  if (found !== undefined && found !== '') return found;
  const made = make();
  await writeFile(file, made, { mode: 0o600, flush: true });
  return made;
}

function newTokenKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return JSON.stringify(privateKey.export({ format: 'jwk' }));
}

/** `slp_<id>_<32 random bytes>_<checksum>`: its form lets secret scanners find it. */
function newAdminToken(): string {
  const secret = base62(43);
  return `slp_admin_${secret}_${crc32(secret).toString(16).padStart(8, '0')}`;
}

function newPasswords(): z.infer<typeof passwordsSchema> {
  return {
    postgres: base62(32),
    objectStoreAccessKey: base62(20),
    objectStoreSecretKey: base62(40),
    registryHttp: base62(32),
    git: base62(24),
  };
}

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function base62(length: number): string {
  return Array.from({ length }, () => digits[randomInt(digits.length)]).join('');
}
