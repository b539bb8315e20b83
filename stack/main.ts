import { refreshing } from './refreshing.ts';
import { runStackCommand } from './run-stack.ts';
import { loadSample, renewHostedImages } from './sample.ts';
import { readSettings } from './settings.ts';
import { startStack } from './stack.ts';

/** How often it is looked whether base images are due for renewal, which they are a day after the last look. */
const RENEWAL_CHECK_MS = 3_600_000;

// `npm start [-- --no-sample]`: the embedded stack, its sample, and then nothing but waiting for the signal to stop.
await runStackCommand(async ({ signal, stopped, say }) => {
  const settings = readSettings(process.argv.slice(2), process.env);
  const stack = await startStack({ settings, onProgress: say, signal });
  try {
    await stack.announce();
    const lines = await loadSample({ stack, settings, onProgress: say, signal });
    say(['', 'Slipway is ready', '', ...lines, ''].join('\n'));
    const renew = () => renewHostedImages({ stack, settings, onProgress: say, signal });
    const endRenewal = settings.isRenewalWanted
      ? refreshing(renew, { everyMs: RENEWAL_CHECK_MS, onProgress: say })
      : () => undefined;
    await stopped;
    say('stopping');
    await endRenewal();
  } finally {
    await stack.stop();
  }
});
