import { chmod, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noSourceApps } from '../domain/source-apps.ts';
import { composeEnv } from './compose-env.ts';
import { openKeys } from './keys.ts';
import { rootFolder } from './settings.ts';

/**
 * `node stack/compose-init.ts`: makes every secret of the compose topology, once: key files in `.slipway-compose/keys`, the
 * rest in `.env`. What is there already stays.
 */
async function main(): Promise<void> {
  const folder = join(rootFolder, '.slipway-compose');
  const { files, passwords } = await openKeys(folder);
  const sourceApps = join(folder, 'keys', 'source-apps.json');
  await writeNew(sourceApps, `${JSON.stringify(noSourceApps)}\n`);
  // Containers run as another user and read them as mounted secrets; the folder above is closed.
  for (const file of [...Object.values(files), sourceApps]) await chmod(file, 0o644);
  const env = join(rootFolder, '.env');
  if (!(await writeNew(env, composeEnv({ passwords })))) {
    console.log(`${env} is there and stays as it is.`);
    return;
  }
  console.log(
    `Wrote ${env}: set SLIPWAY_URL in it, make the image (node stack/image.ts dist/image), then docker compose up -d.`,
  );
}

/** false where the file is there already, which stays. */
async function writeNew(file: string, text: string): Promise<boolean> {
  if (await stat(file).catch(() => undefined)) return false;
  await writeFile(file, text, { mode: 0o600 });
  return true;
}

await main();
