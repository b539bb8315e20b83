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
  await stopStrays({ home });
  const own = { pid: process.pid, startedTicks: (await startedTicks(process.pid)) ?? '' };
  await writeFile(file, JSON.stringify(own), { mode: 0o600 });
  return () => rm(file, { force: true });
}

/** Whose left-overs: a whole stack's, or those of a dead worker, whose programs carry no mark but work in its folder. */
export type StrayOwner = { readonly home: string } | { readonly workDir: string };

/** Ends every process that was left: politely, then by SIGKILL. */
export async function stopStrays(owner: StrayOwner): Promise<void> {
  for (const pid of await strays(owner)) signalProcess(pid, 'SIGTERM');
  const until = Date.now() + STRAY_GRACE_MS;
  while ((await strays(owner)).length > 0 && Date.now() < until) await delay(50);
  for (const pid of await strays(owner)) signalProcess(pid, 'SIGKILL');
}

/** Living processes that belong to the owner, whoever their parent is now. */
export async function strays(owner: StrayOwner): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(async (pid) => ((await isOwned(pid, owner)) ? [pid] : [])));
  return found.flat().filter((pid) => pid !== process.pid);
}

async function isOwned(pid: number, owner: StrayOwner): Promise<boolean> {
  // A dead process that nobody has waited for has no program any more.
  if ((await readlink(`/proc/${pid}/exe`).catch(() => undefined)) === undefined) return false;
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
  const marks = environment.filter((line) => line.startsWith(`${stackMark}=`));
  if ('home' in owner) return marks.includes(`${stackMark}=${owner.home}`);
  if (marks.length > 0 || (await hasTerminal(pid))) return false;
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
  const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  return [cwd, ...command, ...environment].some((text) => text.includes(`${owner.workDir}/`));
}

/** Field 7: what somebody started by hand in a shell has one, what the worker starts has none. */
async function hasTerminal(pid: number): Promise<boolean> {
  return (await statFields(pid))?.[4] !== '0';
}

/** Field 22 of `/proc/<pid>/stat`, from the third on: with the pid it names one process for ever. */
async function startedTicks(pid: number): Promise<string | undefined> {
  return (await statFields(pid))?.[19];
}

/** From field 3 on; the program's name before them may hold spaces. */
async function statFields(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: ended meanwhile
  }
}
