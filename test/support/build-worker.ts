import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logTail, startChild } from '../../stack/child.ts';
import { rootFolder } from '../../stack/settings.ts';
import { waitFor } from '../../stack/wait.ts';
import { currentStack, stackFile } from './stack-world.ts';

const startedWithinMs = 60_000;
const stopWithinMs = 20_000;

/** One more worker of the running stack, for builds of a region of its own, one at a time. */
export interface BuildWorker {
  readonly pid: number;
  /** Everything it keeps; the command lines and control groups of what it started name it. */
  readonly folder: string;
  stop(): Promise<void>;
}

/** Wired as the stack's own worker is; `env` says what is to be different. Ready when it takes builds. */
export async function startBuildWorker(
  region: string,
  env: Readonly<Record<string, string>> = {},
): Promise<BuildWorker> {
  const { home } = stackFile();
  const folder = await mkdtemp(join(tmpdir(), 'slipway-worker-'));
  const logFile = join(folder, 'worker.log');
  const child = await startChild(
    {
      command: process.execPath,
      args: [join(rootFolder, 'worker', 'main.ts')],
      env: {
        ...(await environmentOf((await currentStack()).pids['worker'] ?? 0)),
        SLIPWAY_WORKER_ROLES: 'build',
        SLIPWAY_BUILD_REGIONS: region,
        SLIPWAY_BUILD_SLOTS: '1',
        SLIPWAY_BUILD_DIR: join(folder, 'buildkit'),
        SLIPWAY_WORK_DIR: join(folder, 'work'),
        ...env,
      },
    },
    { logFile, mark: home },
  );
  const stop = async (): Promise<void> => {
    await child.stop(stopWithinMs);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const hasStarted = async () => (await readFile(logFile, 'utf8')).includes('"worker started"');
    await waitFor(hasStarted, AbortSignal.timeout(startedWithinMs));
    return { pid: child.pid, folder, stop };
  } catch (error) {
    const tail = await logTail(logFile, 20);
    await stop();
    throw new Error(`The worker did not start. Its last lines:\n${tail}`, { cause: error });
  }
}

async function environmentOf(pid: number): Promise<Record<string, string>> {
  const lines = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').filter((line) => line.includes('='));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
