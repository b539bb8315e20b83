import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Runs work in a folder of its own that nobody else can read, and removes it however the work ends. */
export async function inWorkspace<Result>(
  { workDir, name }: { workDir: string; name: string },
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  // The process id says later whether somebody still works in it.
  const folder = await mkdtemp(join(workDir, `${name}-${process.pid}-`));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Removes what killed processes left in the folder; to be called before this process works in it. */
export async function sweepWorkspaces(workDir: string): Promise<void> {
  const names = await readdir(workDir);
  const left = names.filter((name) => !isInUse(Number(/-(\d+)-[^-]*$/.exec(name)?.[1])));
  await Promise.all(left.map((name) => rm(join(workDir, name), { recursive: true, force: true, maxRetries: 3 })));
}

/** A folder with our own id is of an earlier process that had it: we have none yet. */
function isInUse(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
