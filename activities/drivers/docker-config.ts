import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A login as docker's configuration file keeps it; an empty user name means none. */
export interface RegistryLogin {
  /** `host[:port]`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
}

/** Writes a folder for `DOCKER_CONFIG` that nobody else can read. The caller removes it. */
export async function writeDockerConfig(folder: string, logins: readonly RegistryLogin[]): Promise<void> {
  const auths = logins
    .filter(({ username }) => username !== '')
    .map(({ host, username, password }) => [host, { auth: Buffer.from(`${username}:${password}`).toString('base64') }]);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: Object.fromEntries(auths) }), { mode: 0o600 });
}
