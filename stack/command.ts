import { ProcessFailed, runProcess } from '../activities/drivers/process.ts';
import { definedOnly } from '../tools/plan.ts';

const TIMEOUT_MS = 10_000;

/** How a short command of the stack ended. */
export interface CommandEnd {
  readonly isOk: boolean;
  readonly stdout: string;
  /** Its last words on standard error. */
  readonly stderr: string;
}

/** Runs a short command of an administrator's kind; a bad end is an answer here, not an exception. */
export async function tryCommand(
  command: string,
  args: readonly string[],
  {
    timeoutMs = TIMEOUT_MS,
    env = {},
  }: { readonly timeoutMs?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<CommandEnd> {
  try {
    const { stdout, stderrTail } = await runProcess({
      command,
      args,
      env: { ...definedOnly(process.env), ...env },
      signal: new AbortController().signal,
      timeoutMs,
    });
    return { isOk: true, stdout, stderr: stderrTail };
  } catch (error) {
    if (error instanceof ProcessFailed) return { isOk: false, stdout: '', stderr: error.stderrTail };
    return { isOk: false, stdout: '', stderr: error instanceof Error ? error.message : '' };
  }
}
