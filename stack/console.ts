import { createHash } from 'node:crypto';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryCommand } from './command.ts';
import { rootFolder } from './settings.ts';
import { StackError } from './stack-error.ts';

const BUILD_TIMEOUT_MS = 5 * 60_000;
const sources = ['console', 'domain', 'package-lock.json'];

/** The built console. */
export const consoleFolder = join(rootFolder, 'dist', 'console');

/** Builds the console's files into `consoleFolder`, unless they are there and made from the same sources. */
export async function ensureConsole(onProgress: (line: string) => void): Promise<void> {
  const stamp = join(rootFolder, 'dist', 'console.sha256');
  const wanted = await sourceHash();
  const made = await readFile(stamp, 'utf8').catch(() => '');
  if (made === wanted && (await stat(join(consoleFolder, 'index.html')).catch(() => undefined))) return;
  onProgress('building the console');
  const vite = join(rootFolder, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = [vite, 'build', join(rootFolder, 'console'), '--logLevel', 'error'];
  const { isOk, stderr } = await tryCommand(process.execPath, args, { timeoutMs: BUILD_TIMEOUT_MS });
  if (!isOk) throw new StackError(`The console could not be built: ${stderr.trim()}`);
  await writeFile(stamp, wanted);
}

async function sourceHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const source of sources) {
    for (const file of await filesOf(join(rootFolder, source))) hash.update(`${file}\0`).update(await readFile(file));
  }
  return hash.digest('hex');
}

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}
