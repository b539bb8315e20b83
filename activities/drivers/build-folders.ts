import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildSlot } from './build-slots.ts';

/** What is left on a disk when a program is told that it is full: less than it wanted to write at once. */
const fullBytes = 16 * 1024 ** 2;
const fullFiles = 100;

/** Where a slot's daemon keeps its caches. */
export function slotFolder(folder: string, { namespaceId, index }: BuildSlot): string {
  return join(folder, namespaceId, String(index));
}

/** One name per folder, for what is named machine-wide. */
export function folderName(folder: string): string {
  return createHash('sha256').update(folder).digest('hex').slice(0, 12);
}

/**
 * Makes this process the only one that works in the folder; the answer gives it back. Throws a sentence while another lives that
 * has it.
 */
export async function claimFolder(folder: string): Promise<() => Promise<void>> {
  const file = join(folder, 'owner');
  const [pid = '', ticks] = (await readFile(file, 'utf8').catch(() => '')).split(' ');
  if (ticks !== undefined && Number(pid) !== process.pid && (await startedTicks(pid)) === ticks) {
    throw new Error(`Process ${pid} builds in ${folder} already: give each worker a SLIPWAY_BUILD_DIR of its own.`);
  }
  await writeFile(file, `${process.pid} ${(await startedTicks('self')) ?? ''}`);
  return () => rm(file, { force: true });
}

/** Field 22 of `/proc/<pid>/stat`: with the pid it names one process for ever. */
async function startedTicks(pid: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** Notes that a slot was used just now. */
export async function noteUse(slotFolderPath: string, at: Date): Promise<void> {
  await utimes(slotFolderPath, at, at);
}

export interface Pruning {
  readonly inUse: readonly string[];
  readonly minFreeBytes: number;
  /** What was not used since is dropped anyhow: its namespace may be gone. */
  readonly unusedSince: Date;
}

/**
 * Drops slots' folders, least recently used first: the forgotten ones, and others until `minFreeBytes` of the disk are free or only
 * those in use are left. Answers what it dropped.
 */
export async function pruneFolders(folder: string, pruning: Pruning): Promise<readonly string[]> {
  const dropped: string[] = [];
  for (const { path, usedAt } of await leastRecentlyUsed(folder)) {
    if (pruning.inUse.includes(path)) continue;
    const isForgotten = usedAt < pruning.unusedSince.getTime();
    if (!isForgotten && (await freeBytes(folder)) >= pruning.minFreeBytes) break;
    await rm(path, { recursive: true, force: true });
    dropped.push(path);
  }
  return dropped;
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function leastRecentlyUsed(folder: string) {
  const paths: { readonly path: string; readonly usedAt: number }[] = [];
  for (const namespace of await foldersIn(folder)) {
    for (const path of await foldersIn(namespace)) paths.push({ path, usedAt: (await stat(path)).mtimeMs });
  }
  return paths.toSorted((one, other) => one.usedAt - other.usedAt);
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
}

/** Whether nothing more of any size can be written where the folder is: neither bytes nor, where they are counted, files. */
export async function isDiskFull(folder: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return bavail * bsize < fullBytes || (files > 0 && ffree < fullFiles);
}
