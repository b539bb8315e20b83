import { spawn, type ChildProcess } from 'node:child_process';
import { Socket as DatagramSocket } from 'node:dgram';
import { Server } from 'node:net';
import { ProcessFailed } from './process.ts';

const tailBytes = 4 * 1024;

export interface DaemonInput {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** Takes what a Node program sends with `process.send(name, socket)`; without it there is no such channel. */
  readonly onSocket?: (name: string, socket: Server | DatagramSocket) => void;
}

/** A program that runs until it is stopped. */
export interface DaemonProcess {
  readonly pid: number;
  /** Why it ended; resolves, with the last words of standard error. */
  readonly ended: Promise<ProcessFailed>;
  /** Kills its whole group after `graceMs`; `askToEnd` may tell it before. Settles when it is gone. */
  stop(options: { readonly graceMs: number; readonly askToEnd?: () => void }): Promise<void>;
}

/**
 * Starts a program beside this process: argument array, given environment, a process group of its own, and SIGKILL from the
 * kernel should this process die in whatever way. Rejects when it cannot be started.
 */
export async function startDaemon({ command, args, env, onSocket }: DaemonInput): Promise<DaemonProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
    env: { ...env },
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', ...(onSocket === undefined ? [] : (['ipc'] as const))],
  });
  let tail = Buffer.alloc(0);
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-tailBytes);
  });
  child.on('message', (name, socket) => {
    if (typeof name !== 'string') return;
    if (socket instanceof Server || socket instanceof DatagramSocket) onSocket?.(name, socket);
  });
  const ended = new Promise<ProcessFailed>((resolve) => {
    child.once('close', (code, signal) => resolve(new ProcessFailed(command, code ?? signal ?? '', tail.toString())));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const pid = child.pid ?? 0;
  return {
    pid,
    ended,
    stop: async ({ graceMs, askToEnd }) => {
      askToEnd?.();
      const hardKill = setTimeout(() => killGroup(child), graceMs);
      await ended;
      clearTimeout(hardKill);
    },
  };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: already gone
  }
}
