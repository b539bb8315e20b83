import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs `work` while holding an exclusive lock on `path`, across processes. The kernel holds it (`flock`), so it is free
 * again whatever way this process ends. `onWait` is called once if another process has it.
 */
export async function withLock<T>(
  { path, signal, onWait }: { readonly path: string; readonly signal: AbortSignal; readonly onWait: () => void },
  work: () => Promise<T>,
): Promise<T> {
  // The holder says so and then waits for the end of its input, which comes at the latest with our own end.
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held; cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    signal,
  });
  const waiting = setTimeout(onWait, 300);
  const ended = new Promise<never>((_, reject) => {
    holder.once('error', reject);
    holder.once('close', () => reject(new Error(`The lock ${path} could not be taken.`)));
  });
  ended.catch(() => undefined);
  try {
    await Promise.race([once(holder.stdout, 'data'), ended]);
    clearTimeout(waiting);
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
  }
}
