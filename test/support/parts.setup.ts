import { ensureConsole } from '../../stack/console.ts';

/** The browser tests serve the console as it is built. */
export default function setup(): Promise<void> {
  return ensureConsole((line) => process.stderr.write(`${line}\n`));
}
