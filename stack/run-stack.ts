import { once } from 'node:events';
import { ToolError } from '../tools/plan.ts';
import { StackError } from './stack-error.ts';

/** What a command of the stack does between its start and the signal to stop. */
export interface StackCommand {
  readonly signal: AbortSignal;
  /** Resolves with the first SIGINT, SIGTERM or SIGHUP. */
  readonly stopped: Promise<unknown>;
  /** Shows one line. */
  readonly say: (line: string) => void;
}

/**
 * Runs a command such as `npm start`: a signal stops it quietly, whatever it was doing; an error that a user can cause is one
 * sentence and exit code 1; anything else is a defect and shows its trace.
 */
export async function runStackCommand(command: (context: StackCommand) => Promise<void>): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());
  const stopped = once(stopping.signal, 'abort');
  try {
    await command({ signal: stopping.signal, stopped, say: (line) => console.log(line) });
  } catch (error) {
    // Whatever a stop interrupted is no news.
    if (stopping.signal.aborted) return;
    const sentence = sentenceOf(error);
    if (sentence === undefined) throw error;
    console.error(sentence);
    process.exitCode = 1;
  }
}

function sentenceOf(error: unknown): string | undefined {
  if (error instanceof StackError || error instanceof ToolError) return error.message;
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return `The disk is full (${error.message}): make room, or set SLIPWAY_HOME to another disk.`;
  }
  return undefined;
}
