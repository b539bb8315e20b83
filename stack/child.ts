import { spawn } from 'node:child_process';
import { close, openSync } from 'node:fs';
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A program as the stack starts it. The environment is whole: nothing is inherited but `PATH`, `HOME` and `LANG`. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Another user to run as, by name; only root can. */
  readonly user?: string;
  /** What that user may do beyond its own rights, as Linux capabilities without `CAP_`. */
  readonly capabilities?: readonly string[];
  /** What asks it to end; default SIGTERM. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT';
}

export interface Child {
  readonly pid: number;
  /** How it ended: an exit code, or the signal's name. Never rejects. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Asks it to end, kills its whole group after `graceMs`, and returns when it is gone. */
  stop(graceMs: number): Promise<void>;
}

/** Marks every process of a stack, so that a later start finds what a killed one left (`sweep.ts`). */
export const stackMark = 'SLIPWAY_STACK';

const LOG_TURNED_BYTES = 10 * 1024 * 1024;
const TAIL_BYTES = 4_000;

/**
 * Starts a program in its own process group, its output appended to `logFile`. The kernel sends it its stop signal if this
 * process dies, in whatever way (`setpriv --pdeathsig`). Rejects if it cannot be started at all.
 */
export async function startChild(
  program: Program,
  { logFile, mark }: { readonly logFile: string; readonly mark: string },
): Promise<Child> {
  await mkdir(dirname(logFile), { recursive: true });
  await turnLog(logFile);
  const log = openSync(logFile, 'a', 0o600);
  const stopSignal = program.stopSignal ?? 'SIGTERM';
  const child = spawn('setpriv', privileges(program, stopSignal), {
    cwd: program.cwd,
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...inherited(), ...program.env, [stackMark]: mark },
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 1));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  }).finally(() => close(log));
  const pid = child.pid ?? 0;
  return {
    pid,
    ended,
    stop: async (graceMs) => {
      child.kill(stopSignal);
      const hardKill = setTimeout(() => killGroup(pid), graceMs);
      await ended;
      clearTimeout(hardKill);
      killGroup(pid);
    },
  };
}

/** Kills what is left of a process group; nothing left is fine. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: already gone
  }
}

/** The last lines a program wrote, for the sentence that says why it failed. */
export async function logTail(logFile: string, lines: number): Promise<string> {
  const file = await open(logFile).catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(TAIL_BYTES),
      position: Math.max(0, size - TAIL_BYTES),
    });
    return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-lines).join('\n');
  } finally {
    await file.close();
  }
}

function privileges(program: Program, stopSignal: string): string[] {
  const user = program.user === undefined ? [] : ['--reuid', program.user, '--regid', program.user, '--init-groups'];
  const granted = (program.capabilities ?? []).map((name) => `+${name}`).join(',');
  const capabilities = granted === '' ? [] : ['--inh-caps', granted, '--ambient-caps', granted];
  return [
    ...user,
    ...capabilities,
    '--pdeathsig',
    stopSignal.replace('SIG', ''),
    '--',
    program.command,
    ...program.args,
  ];
}

function inherited(): Record<string, string> {
  const { PATH, HOME, LANG } = process.env;
  return {
    PATH: PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: HOME ?? '/',
    LANG: LANG ?? 'C.UTF-8',
  };
}

/** One old log is kept. */
async function turnLog(logFile: string): Promise<void> {
  const size = await stat(logFile).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_TURNED_BYTES) await rename(logFile, `${logFile}.1`);
}
