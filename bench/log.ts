import { get } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { createProgress } from '../activities/drivers/buildkit-progress.ts';
import type { BuildLog } from '../activities/build-log.ts';
import { randomBytes } from 'node:crypto';
import { startLogWorld, type LogWorld } from './log-world.ts';
import { check, report } from './report.ts';

const lineRate = 10_000;
const pacedSeconds = 20;
const totalLines = 1_000_000;
const viewers = 200;
const viewedRate = 1_000;
const viewedSeconds = 15;
/** BuildKit writes a message ten times a second. */
const messagesPerSecond = 10;
const requests = 200;

/**
 * The log of a build against its limits: 10,000 lines a second taken in by one worker, masked and numbered, without starving its
 * heartbeats; the end of a log of 1,000,000 lines shown by the API, a text found in it; 200 readers of one live log.
 */
export async function run(): Promise<boolean> {
  const world = await startLogWorld();
  try {
    const buildId = await world.newBuild();
    const intake = await measureIntake(world, buildId);
    const reading = await measureReading(world, buildId);
    const following = await measureFollowing(world);
    console.log(
      `taken in at ${Math.round(intake.rate)} lines/s, the rest of 1,000,000 at ${Math.round(intake.fullRate)}`,
    );
    console.log(`one text among 1,000,000 lines found in ${Math.round(reading.searchMs)} ms`);
    return await report('log', [
      check('lines taken in', intake.rate, { unit: 'lines/s', op: '>=', target: lineRate * 0.99 }),
      check('longest pause of the worker meanwhile', intake.pauseMs, { unit: 'ms', op: '<=', target: 500 }),
      check('end of 1,000,000 lines shown, p95', reading.endMs, { unit: 'ms', op: '<=', target: 200 }),
      check('a page from the middle, p95', reading.middleMs, { unit: 'ms', op: '<=', target: 200 }),
      check('last 64 KiB of the raw log, p95', reading.rawMs, { unit: 'ms', op: '<=', target: 200 }),
      check('one text found among 1,000,000 lines', reading.searchMs, { unit: 'ms', op: '<=', target: 2_500 }),
      check(`${viewers} readers: written to read, p95`, following.lagMs, { unit: 'ms', op: '<=', target: 2_000 }),
      check(`${viewers} readers: lines missed or doubled`, following.faults, { unit: 'lines', op: '<=', target: 0 }),
    ]);
  } finally {
    await world.stop();
  }
}

/** As BuildKit tells lines to the activity: progress messages, read, masked, and written to the log. */
function createSource(log: BuildLog, secrets: readonly string[]) {
  const progress = createProgress({ secrets });
  const vertex = 'sha256:aa';
  const name = '[2/2] RUN make';
  log.write(progress.read(JSON.stringify({ vertexes: [{ digest: vertex, name, started: new Date() }] })));
  let next = 1;
  return (count: number): void => {
    const text = Array.from({ length: count }, () => `compiling src/module-${next++}.ts with options -O2\n`).join('');
    const data = Buffer.from(text).toString('base64');
    log.write(progress.read(JSON.stringify({ logs: [{ vertex, stream: 1, data, timestamp: new Date() }] })));
  };
}

async function measureIntake(world: LogWorld, buildId: string) {
  const secrets = [randomBytes(600), randomBytes(24)].map((bytes) => bytes.toString('base64url'));
  const log = world.openLog(buildId, secrets);
  const write = createSource(log, secrets);
  const pauses = monitorEventLoopDelay({ resolution: 5 });
  pauses.enable();
  const start = performance.now();
  for (let message = 1; message <= pacedSeconds * messagesPerSecond; message += 1) {
    write(lineRate / messagesPerSecond);
    await delay(Math.max(0, start + (message * 1_000) / messagesPerSecond - performance.now()));
  }
  const rate = (log.lines / (performance.now() - start)) * 1_000;
  pauses.disable();
  const full = performance.now();
  const before = log.lines;
  while (log.lines < totalLines) {
    write(Math.min(2_000, totalLines - log.lines));
    await delay(0);
  }
  await log.close();
  const fullRate = ((log.lines - before) / (performance.now() - full)) * 1_000;
  return { rate, fullRate, pauseMs: pauses.max / 1e6 };
}

async function measureReading(world: LogWorld, buildId: string) {
  const log = `${world.url}/v1/builds/${buildId}/log`;
  const page = z.looseObject({
    items: z.array(z.looseObject({ line: z.number() })),
    lines: z.number(),
    nextOffset: z.number().nullish(),
  });
  const read = async (path: string): Promise<z.infer<typeof page>> =>
    page.parse(await (await fetch(`${log}${path}`, { headers: world.headers })).json());
  const endMs = await p95(async () => {
    const { items, lines } = await read('?tail=1000');
    if (lines !== totalLines || items.at(-1)?.line !== totalLines) throw new Error('The end is not the end.');
  });
  let place = 0;
  const middleMs = await p95(async () => {
    place = (place + 617_071) % (totalLines - 1_000);
    const { items } = await read(`?offset=${place}&limit=1000`);
    if (items[0]?.line !== place + 1) throw new Error('The page begins elsewhere.');
  });
  const rawMs = await p95(async () => {
    const answer = await fetch(`${log}/raw`, { headers: { ...world.headers, range: 'bytes=-65536' } });
    if ((await answer.arrayBuffer()).byteLength !== 65_536) throw new Error('The raw end is not whole.');
  });
  const start = performance.now();
  let found = await read('/search?q=module-777777.ts');
  // An answer takes no longer than two seconds; a slow machine is asked again where it stopped.
  while (found.items.length === 0 && typeof found.nextOffset === 'number')
    found = await read(`/search?q=module-777777.ts&offset=${found.nextOffset}`);
  if (found.items[0]?.line !== 777_778) throw new Error('The search found another line.');
  return { endMs, middleMs, rawMs, searchMs: performance.now() - start };
}

async function measureFollowing(world: LogWorld) {
  const buildId = await world.newBuild();
  const log = world.openLog(buildId, []);
  const write = createSource(log, []);
  const writtenAt: number[] = [];
  const lags: number[] = [];
  const readers = await Promise.all(
    Array.from({ length: viewers }, () =>
      follow(world, buildId, (line) => lags.push(Date.now() - (writtenAt[line] ?? 0))),
    ),
  );
  const start = performance.now();
  for (let message = 1; message <= viewedSeconds * messagesPerSecond; message += 1) {
    const from = log.lines;
    write(viewedRate / messagesPerSecond);
    for (let line = from + 1; line <= log.lines; line += 1) writtenAt[line] = Date.now();
    await delay(Math.max(0, start + (message * 1_000) / messagesPerSecond - performance.now()));
  }
  await log.close();
  const deadline = performance.now() + 20_000;
  while (readers.some((reader) => reader.last() < log.lines) && performance.now() < deadline) await delay(50);
  for (const reader of readers) reader.stop();
  const faults = readers.reduce((sum, reader) => sum + reader.faults() + log.lines - reader.last(), 0);
  return { lagMs: percentile95(lags), faults };
}

/** One reader of a live log; `onEvent` hears the last line of each event that came. */
async function follow(world: LogWorld, buildId: string, onEvent: (line: number) => void) {
  let last = 0;
  let faults = 0;
  let rest = '';
  const take = (event: string): void => {
    const id = Number(/^id: (\d+)$/m.exec(event)?.[1] ?? 0);
    if (id === 0) return;
    const first = Number(/"line":(\d+)/.exec(event)?.[1] ?? 0);
    faults += Math.abs(first - last - 1);
    last = id;
    onEvent(id);
  };
  const stop = await new Promise<() => void>((resolve, reject) => {
    const request = get(`${world.url}/v1/builds/${buildId}/log/stream`, { headers: world.headers, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        const events = `${rest}${chunk}`.split('\n\n');
        rest = events.pop() ?? '';
        for (const event of events) take(event);
      });
      response.on('error', () => undefined);
      resolve(() => request.destroy());
    });
  });
  return { last: () => last, faults: () => faults, stop };
}

async function p95(work: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < requests; round += 1) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return percentile95(times);
}

function percentile95(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.95) - 1] ?? Number.NaN;
}
