import { spawn, type ChildProcess } from 'node:child_process';
import { basename } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { maskText } from '../../domain/mask.ts';

const defaults = { graceMs: 5_000, maxStdoutBytes: 1024 * 1024, maxLineLength: 64 * 1024 };
const tailBytes = 4 * 1024;

export interface ProcessInput {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs?: number;
  /** What standard output may hold when it is collected; more ends the program. */
  readonly maxStdoutBytes?: number;
  /** Takes standard output line by line, in place of collecting it. */
  readonly onStdoutLine?: (line: string) => void;
  readonly onStderrLine?: (line: string) => void;
  /** Longer lines are cut; for programs that write one document a line. */
  readonly maxLineLength?: number;
  /** Never shown in an error. */
  readonly secrets?: readonly string[];
}

export interface ProcessOutput {
  readonly stdout: string;
  /** The last 4 KiB of standard error, secrets masked. */
  readonly stderrTail: string;
}

/** The program ended badly. `stderrTail` is safe to show; the message names command and exit code, never the arguments. */
export class ProcessFailed extends Error {
  override readonly name: string = 'ProcessFailed';
  readonly command: string;
  /** The exit code, or the signal that ended it. */
  readonly exit: number | string;
  readonly stderrTail: string;

  constructor(command: string, exit: number | string, stderrTail: string, options?: ErrorOptions) {
    const said = stderrTail.trim();
    super(`${basename(command)} ended with ${exit}${said === '' ? '' : `: ${said}`}`, options);
    this.command = basename(command);
    this.exit = exit;
    this.stderrTail = stderrTail;
  }
}

/** The program did not end within its time and was killed. */
export class ProcessTimedOut extends ProcessFailed {
  override readonly name = 'ProcessTimedOut';

  constructor(command: string, timeoutMs: number, stderrTail: string) {
    super(command, `no answer within ${timeoutMs / 1000} s`, stderrTail);
  }
}

/** The program wrote more than it may and was killed. */
export class ProcessOutputTooLarge extends ProcessFailed {
  override readonly name = 'ProcessOutputTooLarge';
}

type Ending = { readonly kind: 'timeout' } | { readonly kind: 'flood' } | { readonly kind: 'canceled' };

/**
 * Runs a program to its end: argument array, given environment, process group of its own, bounded output. On abort or time-out
 * the group gets SIGTERM, then SIGKILL, and nothing of it is left when this settles. An abort rejects with the signal's reason,
 * whatever the exit code says: some programs exit 0 on SIGTERM.
 */
export function runProcess(input: ProcessInput): Promise<ProcessOutput> {
  const { command, signal, timeoutMs, graceMs = defaults.graceMs, secrets = [] } = input;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = spawn(command, input.args, {
      env: { ...input.env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(input.cwd === undefined ? {} : { cwd: input.cwd }),
    });
    let ending: Ending | undefined;
    let hardKill: NodeJS.Timeout | undefined;

    function stop(kind: Ending['kind']): void {
      if (ending !== undefined) return;
      ending = { kind };
      killGroup(child, 'SIGTERM');
      killLater();
    }
    function killLater(): void {
      hardKill ??= setTimeout(() => {
        killGroup(child, 'SIGKILL');
        // A stray that left the group and holds the pipes would hold up 'close'.
        child.stdout.destroy();
        child.stderr.destroy();
      }, graceMs);
    }
    const onAbort = (): void => stop('canceled');
    const timer = setTimeout(() => stop('timeout'), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    // What a program leaves behind when it ends by itself gets the same grace.
    child.once('exit', killLater);

    const { stdout, stderrTail } = collectOutput(child, input, () => stop('flood'));
    const settle = (exit: number | string, cause?: Error): void => {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
      clearTimeout(hardKill);
      killGroup(child, 'SIGKILL');
      const tail = maskText(stderrTail(), secrets);
      if (signal.aborted) reject(signal.reason);
      else if (ending?.kind === 'timeout') reject(new ProcessTimedOut(command, timeoutMs, tail));
      else if (ending?.kind === 'flood') reject(new ProcessOutputTooLarge(command, 'too much output', tail));
      else if (exit === 0) resolve({ stdout: stdout(), stderrTail: tail });
      else reject(new ProcessFailed(command, exit, tail, cause === undefined ? undefined : { cause }));
    };
    child.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? 'no start', error));
    child.once('close', (code, name) => settle(code ?? name ?? 'no exit code'));
  });
}

function killGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // ESRCH: nobody is left in the group.
  }
}

function collectOutput(
  child: ChildProcess,
  input: ProcessInput,
  onFlood: () => void,
): { stdout: () => string; stderrTail: () => string } {
  const maxStdoutBytes = input.maxStdoutBytes ?? defaults.maxStdoutBytes;
  const maxLineLength = input.maxLineLength ?? defaults.maxLineLength;
  const chunks: Buffer[] = [];
  let size = 0;
  let tail = Buffer.alloc(0);
  const stdoutLines = lineSplitter(input.onStdoutLine, maxLineLength);
  const stderrLines = lineSplitter(input.onStderrLine, maxLineLength);

  child.stdout?.on('data', (chunk: Buffer) => {
    if (input.onStdoutLine !== undefined) return stdoutLines.push(chunk);
    size += chunk.length;
    if (size > maxStdoutBytes) return onFlood();
    chunks.push(chunk);
  });
  child.stdout?.once('end', stdoutLines.end);
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-tailBytes);
    stderrLines.push(chunk);
  });
  child.stderr?.once('end', stderrLines.end);
  return { stdout: () => Buffer.concat(chunks).toString('utf8'), stderrTail: () => tail.toString('utf8') };
}

function lineSplitter(
  onLine: ((line: string) => void) | undefined,
  maxLength: number,
): { push: (chunk: Buffer) => void; end: () => void } {
  if (onLine === undefined) return { push: () => undefined, end: () => undefined };
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string): void => {
    const lines = `${rest}${text}`.split('\n');
    rest = (lines.pop() ?? '').slice(0, maxLength);
    for (const line of lines) onLine(line.slice(0, maxLength));
  };
  return {
    push: (chunk) => take(decoder.write(chunk)),
    end: () => {
      take(decoder.end());
      if (rest !== '') onLine(rest);
    },
  };
}
