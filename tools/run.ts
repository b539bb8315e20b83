import { spawn } from 'node:child_process';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  /** The last 4,000 characters. */
  readonly stderr: string;
}

const KEPT_CHARACTERS = 4_000;

/**
 * Runs one program in its own process group and waits for it. Rejects if it cannot be started, with the signal's reason when
 * aborted, and when `timeoutMs` is over; in both cases the whole group is gone first.
 */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Outcome> {
  const limit = AbortSignal.timeout(options.timeoutMs);
  const stop = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
  return new Promise((resolve, reject) => {
    stop.throwIfAborted();
    const child = spawn(command, args, { env: options.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // already gone
      }
    };
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-KEPT_CHARACTERS)));
    stop.addEventListener('abort', kill, { once: true });
    const end = (finish: () => void): void => {
      stop.removeEventListener('abort', kill);
      if (stop.aborted) reject(stop.reason);
      else finish();
    };
    child.once('error', (error) => end(() => reject(error)));
    child.once('close', (code) => end(() => resolve({ code, stdout, stderr })));
  });
}
