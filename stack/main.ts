import { once } from 'node:events';
import { ToolError } from '../tools/plan.ts';
import { loadSample } from './sample.ts';
import { readSettings } from './settings.ts';
import { startStack } from './stack.ts';
import { StackError } from './stack-error.ts';

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());

/** `npm start [-- --no-sample]`: the embedded stack, its sample, and then nothing but waiting for the signal to stop. */
async function main(): Promise<void> {
  const stopped = once(stopping.signal, 'abort');
  const say = (line: string): void => console.log(line);
  const settings = readSettings(process.argv.slice(2), process.env);
  const stack = await startStack({ settings, onProgress: say, signal: stopping.signal });
  try {
    await stack.announce();
    const ready = await loadSample({ stack, settings, onProgress: say, signal: stopping.signal });
    say(['', 'Slipway is ready', '', ...ready, ''].join('\n'));
    await stopped;
    say('stopping');
  } finally {
    await stack.stop();
  }
}

/** Errors whose message is the whole story; anything else is a defect and shows its trace. */
function sentenceOf(error: unknown): string | undefined {
  if (error instanceof StackError || error instanceof ToolError) return error.message;
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return `The disk is full (${error.message}): make room, or set SLIPWAY_HOME to another disk.`;
  }
  return undefined;
}

try {
  await main();
} catch (error) {
  const sentence = sentenceOf(error);
  // Whatever a stop interrupted is no news.
  if (!stopping.signal.aborted) {
    if (sentence === undefined) throw error;
    console.error(sentence);
    process.exitCode = 1;
  }
}
