import { runStackCommand } from './run-stack.ts';
import { loadSample } from './sample.ts';
import { readSettings } from './settings.ts';
import { startStack } from './stack.ts';

// `npm start [-- --no-sample]`: the embedded stack, its sample, and then nothing but waiting for the signal to stop.
await runStackCommand(async ({ signal, stopped, say }) => {
  const settings = readSettings(process.argv.slice(2), process.env);
  const stack = await startStack({ settings, onProgress: say, signal });
  try {
    await stack.announce();
    const lines = await loadSample({ stack, settings, onProgress: say, signal });
    say(['', 'Slipway is ready', '', ...lines, ''].join('\n'));
    await stopped;
    say('stopping');
  } finally {
    await stack.stop();
  }
});
