import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootFolder } from '../../stack/settings.ts';
import type { StackFile } from '../../stack/stack-file.ts';
import { strays } from '../../stack/sweep.ts';

/** A first start compiles every program. */
const READY_WITHIN_MS = 40 * 60_000;
const STOPPED_WITHIN_MS = 90_000;

export interface NpmStart {
  readonly stack: StackFile & { readonly home: string };
  /** Stops it as a user would; throws when it leaves a process behind. */
  readonly stop: () => Promise<void>;
}

/** The real thing: `npm start` in a folder of its own on free ports, sample included. */
export async function npmStart(env: Readonly<Record<string, string>> = {}): Promise<NpmStart> {
  const home = await mkdtemp(join(tmpdir(), 'slipway-'));
  // PostgreSQL's own user must be able to pass.
  await chmod(home, 0o711);
  const end = await start(home, env);
  try {
    const stack: StackFile = JSON.parse(await readFile(join(home, 'stack.json'), 'utf8'));
    return { stack: { ...stack, home }, stop: () => stopWithoutTrace(end, home) };
  } catch (error) {
    await end();
    throw error;
  }
}

async function stopWithoutTrace(end: () => Promise<void>, home: string): Promise<void> {
  await end();
  const left = await strays({ home });
  await rm(home, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`npm start left processes running: ${left.join(', ')}`);
}

/** Resolves when it says that it is ready; the answer stops it. */
async function start(home: string, env: Readonly<Record<string, string>>): Promise<() => Promise<void>> {
  const child = spawn('npm', ['start'], {
    cwd: rootFolder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...{ SLIPWAY_HOME: home, SLIPWAY_PORT: '0', SLIPWAY_BASE_IMAGE_RENEWAL: 'off', NODE_ENV: undefined },
      ...env,
    },
  });
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const limit = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS);
    await ended;
    clearTimeout(limit);
  };
  let said = '';
  const ready = new Promise<void>((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error('npm start was not ready in time')), READY_WITHIN_MS);
    const hear = (text: string): void => {
      said += text;
      if (!said.includes('Slipway is ready')) return;
      clearTimeout(limit);
      resolve();
    };
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    child.once('close', () => reject(new Error('npm start ended before it was ready')));
  });
  try {
    await ready;
    return stop;
  } catch (error) {
    await stop();
    await rm(home, { recursive: true, force: true });
    throw new Error(`npm start did not come up. It said:\n${said.slice(-4_000)}`, { cause: error });
  }
}
