import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, killGroup, logTail, type Program, startChild } from './child.ts';
import { StackError } from './stack-error.ts';
import { waitFor } from './wait.ts';

/** One supervised program of the stack. */
export interface Part {
  readonly name: string;
  readonly program: Program;
  /** Asked again and again until it says yes. `written` reads what the program wrote since this start. */
  readonly isReady: (written: () => Promise<string>) => Promise<boolean>;
  readonly readyWithinMs: number;
  /** How long it may take to end before it is killed. */
  readonly stopWithinMs: number;
  /** Before each start, the first and every later one. */
  readonly prepare?: () => Promise<void>;
  /** After each end, however it came. */
  readonly cleanUp?: () => Promise<void>;
}

export interface SupervisorOptions {
  /** Marks the processes, see `sweep.ts`; logs go to `logs/<part>.log` in it. */
  readonly home: string;
  /** Delays before a dead part is started again: the n-th time in a row, then always the last. */
  readonly restartDelaysMs: readonly number[];
  /** A part that ran this long starts counting anew. */
  readonly healthyAfterMs: number;
  /** One line for people: a part died, was started again. */
  readonly onEvent: (line: string) => void;
  /** The processes are others than before. */
  readonly onChange: () => void;
}

export interface Supervisor {
  /** Starts a part and returns when it is ready; several may start at once. Throws StackError, naming it and its last words, if it does not get there. */
  start(part: Part): Promise<void>;
  /** Ends a part's process; like after any other end, it is started again. */
  restart(name: string): Promise<void>;
  /** Ends all parts, the last started first; none is started again. */
  stop(): Promise<void>;
  readonly pids: () => Readonly<Record<string, number>>;
}

interface Running {
  readonly part: Part;
  child: Child;
  /** Ends when the part is given up: only `stop` does that. */
  watch: Promise<void>;
}

/** Keeps programs running: starts them in order, again with back-off when one dies, and stops them in reverse. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const parts: Running[] = [];
  const stopping = new AbortController();
  const launching = new Set<Promise<unknown>>();
  let stopped: Promise<void> | undefined;
  const logFile = (part: Part): string => join(options.home, 'logs', `${part.name}.log`);

  async function launch(part: Part): Promise<Child> {
    await part.prepare?.();
    stopping.signal.throwIfAborted();
    const file = logFile(part);
    const from = await sizeOf(file);
    const child = await startChild(part.program, { logFile: file, mark: options.home });
    try {
      const written = async (): Promise<string> => (await readFile(file, 'utf8')).slice(from);
      await untilReady(part, { child, stopping: stopping.signal, written });
      return child;
    } catch (error) {
      await child.stop(part.stopWithinMs);
      await part.cleanUp?.();
      if (stopping.signal.aborted) throw error;
      const words = lastWords(await logTail(file, 40));
      const detail = words === '' ? '' : `: ${words}`;
      throw new StackError(`${part.name} ${reasonOf(error)} (log: ${file})${detail}`, { cause: error });
    }
  }

  /** Waits for the end of a part and starts it again, for as long as nobody stops the stack. */
  async function watch(running: Running): Promise<void> {
    const { part } = running;
    for (let inRow = 0; ; inRow++) {
      const since = Date.now();
      const ending = await running.child.ended;
      killGroup(running.child.pid);
      if (stopping.signal.aborted) return;
      await part.cleanUp?.();
      if (Date.now() - since > options.healthyAfterMs) inRow = 0;
      options.onEvent(`${part.name} ended (${ending}); starting it again`);
      const child = await relaunch(part, inRow);
      if (child === undefined) return;
      running.child = child;
      if (stopping.signal.aborted) {
        await child.stop(part.stopWithinMs);
        return;
      }
      options.onEvent(`${part.name} runs again`);
      options.onChange();
    }
  }

  async function relaunch(part: Part, inRow: number): Promise<Child | undefined> {
    for (let attempt = inRow; ; attempt++) {
      const delayMs = options.restartDelaysMs[Math.min(attempt, options.restartDelaysMs.length - 1)] ?? 0;
      try {
        await delay(delayMs, undefined, { signal: stopping.signal });
        return await launch(part);
      } catch (error) {
        if (stopping.signal.aborted) return undefined;
        options.onEvent(error instanceof Error ? error.message : `${part.name} did not start`);
      }
    }
  }

  async function stopAll(): Promise<void> {
    stopping.abort(new StackError('The stack is stopping.'));
    await Promise.allSettled(launching);
    for (const running of parts.toReversed()) {
      await running.child.stop(running.part.stopWithinMs);
      await running.watch;
      await running.part.cleanUp?.();
    }
  }

  return {
    start: async (part) => {
      const launched = launch(part);
      launching.add(launched);
      const child = await launched.finally(() => launching.delete(launched));
      const running: Running = { part, child, watch: Promise.resolve() };
      running.watch = watch(running);
      parts.push(running);
    },
    restart: async (name) => {
      const running = parts.find(({ part }) => part.name === name);
      await running?.child.stop(running.part.stopWithinMs);
    },
    stop: () => (stopped ??= stopAll()),
    pids: () => Object.fromEntries(parts.map(({ part, child }) => [part.name, child.pid])),
  };
}

async function untilReady(
  part: Part,
  { child, stopping, written }: { child: Child; stopping: AbortSignal; written: () => Promise<string> },
): Promise<void> {
  const over = new AbortController();
  const limit = AbortSignal.timeout(part.readyWithinMs);
  const ended = child.ended.then((ending) => {
    over.abort(new Error(`ended before it was ready (${ending})`));
  });
  await waitFor(() => part.isReady(written), AbortSignal.any([over.signal, limit, stopping]));
  void ended;
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'was not ready in time';
  return error instanceof Error ? error.message : 'did not start';
}

/** The line of a program's last output that says most: its error, else its last. */
function lastWords(tail: string): string {
  const lines = tail.split('\n').filter((line) => line.trim() !== '');
  return (lines.findLast((line) => /^\s*(\w*error|fatal)\b/i.test(line)) ?? lines.at(-1) ?? '').trim();
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}
