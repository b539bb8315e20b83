import { readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { stackMark } from './child.ts';
import { StackError } from './stack-error.ts';

const ownerSchema = z.object({ pid: z.int(), startedTicks: z.string() });
const STRAY_GRACE_MS = 5_000;

/**
 * Makes this process the one stack of `home`. Throws if another lives; stops what a killed one left running. The answer
 * gives the folder back.
 */
export async function claimHome(home: string): Promise<() => Promise<void>> {
  const file = join(home, 'stack.pid');
  const owner = ownerSchema.safeParse(JSON.parse(await readFile(file, 'utf8').catch(() => 'null')));
  if (owner.success && (await startedTicks(owner.data.pid)) === owner.data.startedTicks) {
    throw new StackError(
      `Slipway already runs in ${home} (process ${owner.data.pid}): stop it first, or set SLIPWAY_HOME to another folder.`,
    );
  }
  await stopStrays(home);
  const own = { pid: process.pid, startedTicks: (await startedTicks(process.pid)) ?? '' };
  await writeFile(file, JSON.stringify(own), { mode: 0o600 });
  return () => rm(file, { force: true });
}

/** Ends every process that carries the mark of this folder's stack: politely, then by SIGKILL. */
export async function stopStrays(home: string): Promise<void> {
  for (const pid of await markedProcesses(home)) signalProcess(pid, 'SIGTERM');
  const until = Date.now() + STRAY_GRACE_MS;
  while ((await markedProcesses(home)).length > 0 && Date.now() < until) await delay(50);
  for (const pid of await markedProcesses(home)) signalProcess(pid, 'SIGKILL');
}

/** Living processes started by the stack of this folder, whoever their parent is now. */
export async function markedProcesses(home: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const marked = await Promise.all(pids.map(async (pid) => ((await isMarked(pid, home)) ? [pid] : [])));
  return marked.flat();
}

async function isMarked(pid: number, home: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
  if (!environment.split('\0').includes(`${stackMark}=${home}`)) return false;
  // A dead process that nobody has waited for has no program any more.
  return (await readlink(`/proc/${pid}/exe`).catch(() => undefined)) !== undefined;
}

/** Field 22 of `/proc/<pid>/stat`: with the pid it names one process for ever. The program's name before it may hold spaces. */
async function startedTicks(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: ended meanwhile
  }
}
