import { mkdtemp, rm, stat } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startChild } from '../../stack/child.ts';
import { waitFor } from '../../stack/wait.ts';
import { claimHome, stopStrays, strays } from '../../stack/sweep.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slipway-sweep-'));
});

afterEach(async () => {
  await stopStrays({ home });
  await rm(home, { recursive: true, force: true });
});

test('what a killed stack left running is stopped by the next one, and nobody else', async () => {
  const other = `${home}-other`;
  const left = await startChild({ command: 'sleep', args: ['60'] }, { logFile: join(home, 'left.log'), mark: home });
  const foreign = await startChild(
    { command: 'sleep', args: ['60'] },
    { logFile: join(home, 'foreign.log'), mark: other },
  );

  const release = await claimHome(home);

  expect(await left.ended).toBe('SIGTERM');
  expect(await strays({ home: other })).toEqual([foreign.pid]);
  await foreign.stop(1_000);
  await release();
});

test('a second stack on the same folder is refused in one sentence', async () => {
  const release = await claimHome(home);

  await expect(claimHome(home)).rejects.toThrow(
    `Slipway already runs in ${home} (process ${process.pid}): stop it first, or set SLIPWAY_HOME to another folder.`,
  );

  await release();
  await (
    await claimHome(home)
  )();
});

test("a dead worker's programs are found by the folder they work in, a user's shell there is left alone", async () => {
  const workDir = join(home, 'work');
  const program = spawn('sleep', ['60'], {
    env: { DOCKER_CONFIG: `${workDir}/login` },
    detached: true,
    stdio: 'ignore',
  });
  const ended = once(program, 'exit');
  await once(program, 'spawn');

  expect(await strays({ workDir })).toEqual([program.pid]);
  await stopStrays({ workDir });

  expect(await ended).toEqual([null, 'SIGTERM']);
});

test('a folder that is free again has no mark of its last owner', async () => {
  const release = await claimHome(home);
  await release();

  await expect(stat(join(home, 'stack.pid'))).rejects.toThrow('ENOENT');
});

test('a part ends when its supervisor is killed, with nobody left to stop it', async () => {
  const script = join(import.meta.dirname, '..', 'fixtures', 'stack', 'supervised-process.ts');
  const supervisor = spawn(process.execPath, [script, home], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const part = Number((await once(supervisor.stdout, 'data')).join('').trim());
    await waitFor(async () => (await strays({ home })).includes(part), AbortSignal.timeout(15_000));
  } finally {
    supervisor.kill('SIGKILL');
  }

  await expect.poll(() => strays({ home }), { timeout: 15_000 }).toEqual([]);
});
