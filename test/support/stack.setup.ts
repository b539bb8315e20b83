import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { StackFile } from '../../stack/stack-file.ts';
import { rootFolder } from '../../stack/settings.ts';
import { strays } from '../../stack/sweep.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The running stack, as its `stack.json` says, and the folder it keeps everything in. */
    stack: StackFile & { readonly home: string };
  }
}

/** A first start compiles every program. */
const READY_WITHIN_MS = 40 * 60_000;
const STOPPED_WITHIN_MS = 90_000;

/**
 * The real thing: `npm start` in a folder of its own on free ports, sample included, for all end-to-end tests. It must stop
 * without a trace at the end; programs and base images come from the cache folder that every start shares.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), 'slipway-e2e-'));
  await chmod(home, 0o711);
  const stop = await startNpm(home);
  try {
    const stack = JSON.parse(await readFile(join(home, 'stack.json'), 'utf8'));
    project.provide('stack', { ...stack, home });
  } catch (error) {
    await stop();
    throw error;
  }
  return async () => {
    await stop();
    const left = await strays({ home });
    await rm(home, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`npm start left processes running: ${left.join(', ')}`);
  };
}

/** Resolves when it says that it is ready; the answer stops it as a user would. */
async function startNpm(home: string): Promise<() => Promise<void>> {
  const child = spawn('npm', ['start'], {
    cwd: rootFolder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SLIPWAY_HOME: home, SLIPWAY_PORT: '0', NODE_ENV: undefined },
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
    throw new Error(`The stack for the end-to-end tests did not come up. It said:\n${said.slice(-4_000)}`, {
      cause: error,
    });
  }
}
