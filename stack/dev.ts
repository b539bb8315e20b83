import { join } from 'node:path';
import { createServer } from 'vite';
import { runStackCommand } from './run-stack.ts';
import { loadSample } from './sample.ts';
import { readSettings, rootFolder } from './settings.ts';
import { startStack } from './stack.ts';

const watched = ['activities', 'api', 'db', 'domain', 'worker', 'workflows'];

// `npm run dev [-- --no-sample]`: the embedded stack, its API and worker started anew on every change of their sources, and
// the console by Vite, which replaces changed modules in the open page.
await runStackCommand(async ({ signal, stopped, say }) => {
  const settings = readSettings(process.argv.slice(2), process.env);
  const nodeArgs = [
    '--watch',
    '--watch-preserve-output',
    ...watched.map((name) => `--watch-path=${join(rootFolder, name)}`),
  ];
  const stack = await startStack({ settings, onProgress: say, signal, nodeArgs });
  try {
    await stack.announce();
    // console/vite.config.ts forwards to it.
    process.env['SLIPWAY_URL'] = stack.addresses.url;
    const vite = await createServer({ configFile: join(rootFolder, 'console', 'vite.config.ts') });
    await vite.listen();
    try {
      const lines = await loadSample({ stack, settings, onProgress: say, signal });
      const [consoleUrl] = vite.resolvedUrls?.local ?? [];
      say(
        ['', 'Slipway is ready', '', ...lines, `  Live console  ${consoleUrl} (log in at the console first)`, ''].join(
          '\n',
        ),
      );
      await stopped;
    } finally {
      await vite.close();
    }
  } finally {
    await stack.stop();
  }
});
