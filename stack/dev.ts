import { watch } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { runStackCommand } from './run-stack.ts';
import { loadSample } from './sample.ts';
import { readSettings, rootFolder } from './settings.ts';
import { type Stack, startStack } from './stack.ts';
import type { Part } from './supervisor.ts';
import { answersHttp } from './wait.ts';

const SETTLE_MS = 200;

/** What each process is made of. `node --watch` would do, but its messages confuse the worker threads of Temporal's SDK. */
const sources = {
  api: ['activities', 'api', 'db', 'domain'],
  worker: ['activities', 'db', 'domain', 'worker', 'workflows'],
} as const;

// `npm run dev [-- --no-sample]`: the embedded stack, its API and worker started anew on every change of their sources, and
// the console by Vite, which replaces changed modules in the open page.
await runStackCommand(async ({ signal, stopped, say }) => {
  const settings = readSettings(process.argv.slice(2), process.env);
  const stack = await startStack({ settings, onProgress: say, signal });
  try {
    const consolePort = await freePort();
    await stack.start(consolePart({ port: consolePort, apiUrl: stack.addresses.url }));
    await stack.announce();
    for (const name of ['api', 'worker'] as const) restartOnChange(stack, name);
    const lines = await loadSample({ stack, settings, onProgress: say, signal });
    const live = `  Live console  http://127.0.0.1:${consolePort} (log in at the console first)`;
    say(['', 'Slipway is ready', '', ...lines, live, ''].join('\n'));
    await stopped;
    say('stopping');
  } finally {
    await stack.stop();
  }
});

function consolePart({ port, apiUrl }: { readonly port: number; readonly apiUrl: string }): Part {
  const vite = join(rootFolder, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = [vite, join(rootFolder, 'console'), '--port', `${port}`, '--strictPort', '--clearScreen', 'false'];
  return {
    name: 'console',
    // console/vite.config.ts forwards the API's paths to it.
    program: { command: process.execPath, args, env: { SLIPWAY_URL: apiUrl } },
    isReady: () => answersHttp(`http://127.0.0.1:${port}/`),
    readyWithinMs: 60_000,
    stopWithinMs: 5_000,
  };
}

/** An editor writes several times for one change: the restart waits until it is quiet. */
function restartOnChange(stack: Stack, name: 'api' | 'worker'): void {
  let settled: NodeJS.Timeout | undefined;
  const onChange = (): void => {
    clearTimeout(settled);
    settled = setTimeout(() => void stack.restart(name), SETTLE_MS);
  };
  // Watching alone must not keep the process alive.
  for (const folder of sources[name]) watch(join(rootFolder, folder), { recursive: true, persistent: false }, onChange);
}
