import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rootFolder } from '../../stack/settings.ts';
import { waitFor } from '../../stack/wait.ts';

test('a script runs on the pinned Node with its arguments, is asked to stop with its starter, and its exit code is kept', async () => {
  const script = 'test/fixtures/stack/stoppable-process.ts';
  const child = spawn('node', [join(rootFolder, 'stack', 'bootstrap.mjs'), script, '7', '--no-sample', 'a b'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await waitFor(async () => said.endsWith('\n'), AbortSignal.timeout(10_000)).finally(() => child.kill('SIGTERM'));

  expect(await ended).toEqual([7, null]);
  expect(said).toBe('v24 --no-sample a b\n');
});
