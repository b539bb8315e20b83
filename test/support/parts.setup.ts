import { ensureConsole } from '../../stack/console.ts';

/** The browser tests serve the console as it is built. */
export default function setup(): Promise<void> {
  return ensureConsole(console.log);
}
