import { chmod, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openKeys } from './keys.ts';
import { rootFolder } from './settings.ts';

/**
 * `node stack/compose-init.ts`: makes every secret of the compose topology, once: key files in `.slipway-compose/keys`, the
 * rest in `.env`. What is there already stays.
 */
async function main(): Promise<void> {
  const { files, passwords } = await openKeys(join(rootFolder, '.slipway-compose'));
  // Containers run as another user and read them as mounted secrets; the folder above is closed.
  for (const file of Object.values(files)) await chmod(file, 0o444);
  const env = join(rootFolder, '.env');
  if (await stat(env).catch(() => undefined)) {
    console.log(`${env} is there and stays as it is.`);
    return;
  }
  const lines = [
    '# The address under which people, registries and builders reach this machine. A name, neither localhost nor an IP address:',
    '# containers must reach it too, and Trivy refuses to log in at an address of a private network.',
    '#SLIPWAY_URL=http://slipway.example:8080',
    `POSTGRES_PASSWORD=${passwords.postgres}`,
    `OBJECT_STORE_ACCESS_KEY=${passwords.objectStoreAccessKey}`,
    `OBJECT_STORE_SECRET_KEY=${passwords.objectStoreSecretKey}`,
    `REGISTRY_HTTP_SECRET=${passwords.registryHttp}`,
  ];
  await writeFile(env, `${lines.join('\n')}\n`, { mode: 0o600 });
  console.log(
    `Wrote ${env}: set SLIPWAY_URL in it, make the image (node stack/image.ts dist/image), then docker compose up -d.`,
  );
}

await main();
