import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  ProcessFailed,
  ProcessOutputTooLarge,
  ProcessTimedOut,
  runProcess,
  type ProcessInput,
} from '../../activities/drivers/process.ts';

const bin = join(import.meta.dirname, '../fixtures/bin');
const env = { PATH: '/usr/bin:/bin' };

type Changes = Partial<Omit<ProcessInput, 'command'>>;

function run(program: string, changes: Changes = {}): ReturnType<typeof runProcess> {
  return runProcess({
    command: join(bin, program),
    args: [],
    env,
    signal: new AbortController().signal,
    timeoutMs: 20_000,
    graceMs: 100,
    ...changes,
  });
}

/** Aborts as soon as the program has said its first line. */
function abortOnFirstLine(reason: Error): {
  signal: AbortSignal;
  onStdoutLine: (line: string) => void;
  lines: string[];
} {
  const controller = new AbortController();
  const lines: string[] = [];
  return {
    signal: controller.signal,
    lines,
    onStdoutLine: (line) => {
      lines.push(line);
      controller.abort(reason);
    },
  };
}

/** A killed process whose new parent has not looked at it yet is dead all the same. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return /^\d+ \(.*\) [^ZX]/.test(stat);
}

describe('running a program', () => {
  test('the output is collected and nothing of our environment is inherited', async () => {
    const output = await runProcess({
      command: '/usr/bin/env',
      args: [],
      env: { ONLY: 'this' },
      signal: new AbortController().signal,
      timeoutMs: 5_000,
    });
    expect(output).toEqual({ stdout: 'ONLY=this\n', stderrTail: '' });
  });

  test('a failure names the program, its exit code and its last words, with secrets masked and without arguments', async () => {
    const failure = run('fails-with-secret', {
      args: ['--password=hunter2-hunter2'],
      env: { ...env, SECRET: 'hunter2-hunter2' },
      secrets: ['hunter2-hunter2'],
    });
    await expect(failure).rejects.toThrow(ProcessFailed);
    await expect(failure).rejects.toMatchObject({
      exit: 7,
      message: 'fails-with-secret ended with 7: fatal: cannot log in with ***',
    });
  });

  test('a program that is not there is a failure with the reason', async () => {
    await expect(run('no-such-program')).rejects.toMatchObject({ name: 'ProcessFailed', exit: 'ENOENT' });
  });

  test('canceled before it starts, it never starts', async () => {
    const reason = new Error('the run was canceled');
    await expect(run('exits-0-on-sigterm', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test('a canceled program that exits 0 counts as canceled, not as done', async () => {
    const reason = new Error('the run was canceled');
    await expect(run('exits-0-on-sigterm', abortOnFirstLine(reason))).rejects.toBe(reason);
  });

  test('a program that ignores SIGTERM is killed after the grace', async () => {
    const reason = new Error('the run was canceled');
    const startedAt = performance.now();
    await expect(run('ignores-sigterm', abortOnFirstLine(reason))).rejects.toBe(reason);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test('the grandchildren of a canceled program die with it', async () => {
    const abort = abortOnFirstLine(new Error('the run was canceled'));
    await expect(run('forks-grandchild', abort)).rejects.toThrow('the run was canceled');
    const pid = Number(abort.lines[0]?.replace('grandchild ', ''));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  test('a program that ends and leaves a grandchild holding its pipes does not hold us up', async () => {
    const { stdout } = await run('forks-grandchild', { args: ['leave'] });
    await expect.poll(() => isAlive(Number(stdout.replace('grandchild ', '')))).toBe(false);
  });

  test('a program that takes too long is killed and the failure says so', async () => {
    const failure = run('ignores-sigterm', { timeoutMs: 200 });
    await expect(failure).rejects.toThrow(ProcessTimedOut);
    await expect(failure).rejects.toThrow('ignores-sigterm ended with no answer within 0.2 s');
  });

  test('a program that floods its output is killed before it fills the memory', async () => {
    await expect(run('floods-output', { args: ['stdout'], maxStdoutBytes: 10_000 })).rejects.toThrow(
      ProcessOutputTooLarge,
    );
  });

  test('of a flood of errors only the last words are kept', async () => {
    const failure = run('floods-output', { args: ['stderr'], timeoutMs: 300 });
    await expect(failure).rejects.toThrow(ProcessTimedOut);
    const error: unknown = await failure.catch((thrown: unknown) => thrown);
    expect(error instanceof ProcessFailed ? error.stderrTail.length : 0).toBe(4096);
  });

  test('lines arrive whole, whatever the pieces; too long ones are cut', async () => {
    const lines: string[] = [];
    await runProcess({
      command: '/bin/bash',
      args: ['-c', 'printf "ä"; printf "bc\\nlong%0100d\\nlast" 0'],
      env,
      signal: new AbortController().signal,
      timeoutMs: 5_000,
      maxLineLength: 10,
      onStdoutLine: (line) => lines.push(line),
    });
    expect(lines).toEqual(['äbc', 'long000000', 'last']);
  });
});
