import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSupervisor, type Part, type Supervisor } from '../../stack/supervisor.ts';
import { strays } from '../../stack/sweep.ts';
import { waitFor } from '../../stack/wait.ts';

let home: string;
let events: string[];
let supervisor: Supervisor;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slipway-supervisor-'));
  events = [];
  supervisor = createSupervisor({
    home,
    restartDelaysMs: [10, 20, 40],
    healthyAfterMs: 60_000,
    onEvent: (line) => events.push(line),
    onChange: () => events.push('changed'),
  });
});

afterEach(async () => {
  await supervisor.stop();
  await rm(home, { recursive: true, force: true });
});

/** A shell program that says `it is up` when it is ready. */
function shellPart(name: string, script: string, more: Partial<Part> = {}): Part {
  return {
    name,
    program: { command: '/bin/sh', args: ['-c', script], cwd: home },
    isReady: async (written) => (await written()).includes('it is up'),
    readyWithinMs: 5_000,
    stopWithinMs: 1_000,
    ...more,
  };
}

const lines = async (file: string): Promise<string[]> =>
  (await readFile(join(home, file), 'utf8').catch(() => '')).split('\n').filter(Boolean);

const soon = (): AbortSignal => AbortSignal.timeout(5_000);

test('a part that dies is started again, and its new process is the one that is named', async () => {
  await supervisor.start(shellPart('sleeper', 'echo it is up; exec sleep 60'));
  const first = supervisor.pids()['sleeper'] ?? 0;

  process.kill(first, 'SIGKILL');
  await waitFor(async () => events.includes('changed'), soon());

  expect(supervisor.pids()['sleeper']).not.toBe(first);
  expect(events).toEqual(['sleeper ended (SIGKILL); starting it again', 'sleeper runs again', 'changed']);
});

test('a part that is asked to start anew gets another process', async () => {
  await supervisor.start(shellPart('changed', 'echo it is up; exec sleep 60'));
  const first = supervisor.pids()['changed'];

  await supervisor.restart('changed');
  await waitFor(async () => events.includes('changed runs again'), soon());

  expect(supervisor.pids()['changed']).not.toBe(first);
});

test('a part that dies again and again is started after growing delays', async () => {
  await supervisor.start(shellPart('flapping', 'date +%s%3N >> starts; echo it is up; sleep 0.05'));

  await waitFor(async () => (await lines('starts')).length >= 5, soon());
  await supervisor.stop();

  const times = (await lines('starts')).map(Number);
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  expect(gaps[0]).toBeGreaterThanOrEqual(60);
  expect(gaps[2]).toBeGreaterThanOrEqual(90);
  expect(gaps[3]).toBeGreaterThanOrEqual(90);
});

test('parts are stopped in the reverse order of their starts', async () => {
  for (const name of ['first', 'second', 'third']) {
    const script = `trap 'echo ${name} >> ends; exit 0' TERM; echo it is up; while :; do sleep 0.01; done`;
    await supervisor.start(shellPart(name, script));
  }

  await supervisor.stop();

  expect(await lines('ends')).toEqual(['third', 'second', 'first']);
});

test('a part that does not listen to its stop signal is killed, with everything it started', async () => {
  const script = "trap '' TERM; sleep 60 & echo it is up; while :; do sleep 0.01; done";
  await supervisor.start(shellPart('deaf', script, { stopWithinMs: 50 }));

  await supervisor.stop();

  // What is killed takes a moment to be gone.
  await expect.poll(() => strays({ home }), { timeout: 10_000 }).toEqual([]);
});

test('a part that ends before it is ready is named, with its error and where its log is', async () => {
  const part = shellPart('broken', 'echo "Error: no such folder"; echo "at line 3"; exit 7');

  await expect(supervisor.start(part)).rejects.toThrow(
    `broken ended before it was ready (7) (log: ${home}/logs/broken.log): Error: no such folder`,
  );
});

test('a part that never gets ready is given up and is not left running', async () => {
  const part = shellPart('slow', 'echo starting; exec sleep 60', { readyWithinMs: 100 });

  await expect(supervisor.start(part)).rejects.toThrow(/^slow was not ready in time \(log: .*\): starting$/);

  await expect.poll(() => strays({ home }), { timeout: 10_000 }).toEqual([]);
});

test('a program that is not there is a failure with its name in it', async () => {
  const part = shellPart('absent', '', { program: { command: join(home, 'no-such-program'), args: [] } });

  await expect(supervisor.start(part)).rejects.toThrow(/^absent ended before it was ready .*no-such-program/);
});

test('a stop during a start ends the part that was starting', async () => {
  const starting = supervisor.start(shellPart('starting', 'exec sleep 60'));
  await waitFor(async () => (await strays({ home })).length > 0, soon());

  await supervisor.stop();

  await expect(starting).rejects.toThrow('The stack is stopping.');
  await expect.poll(() => strays({ home }), { timeout: 10_000 }).toEqual([]);
});

test('a part is prepared before each start and cleaned up after each end', async () => {
  const calls: string[] = [];
  await writeFile(join(home, 'ends'), '');
  const part = shellPart('tidy', 'echo it is up; exec sleep 60', {
    prepare: async () => void calls.push('prepare'),
    cleanUp: async () => void calls.push('clean up'),
  });
  await supervisor.start(part);

  process.kill(supervisor.pids()['tidy'] ?? 0, 'SIGTERM');
  await waitFor(async () => events.includes('changed'), soon());
  await supervisor.stop();

  expect(calls).toEqual(['prepare', 'clean up', 'prepare', 'clean up']);
});
