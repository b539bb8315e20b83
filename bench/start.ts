import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { check, median, percentile, report } from './report.ts';
import { startSampleWorld } from './sample-world.ts';
import type { SampleWorld } from './sample-world.ts';

const pushes = 20;
/** Between two pushes the machine comes to rest: what is measured is a start with nothing else to do. */
const restMs = 1_000;

/**
 * From a push's arrival to the first process inside its build container, which writes down the time itself. The worker is free and
 * the base image is there; every commit is new, so that the container really starts.
 */
export async function run(): Promise<boolean> {
  const world = await startSampleWorld();
  try {
    // The first ones load code and pull the base image: not counted.
    for (let index = 0; index < 3; index += 1) await measure(world);
    const starts: Start[] = [];
    for (let index = 1; index <= pushes; index += 1) {
      const start = await measure(world);
      starts.push(start);
      console.log(`push ${index}  ${Math.round(start.containerMs)} ms`);
    }
    const times = starts.map(({ containerMs }) => containerMs);
    console.log(
      `medians: clone begins after ${middle(starts, 'cloneMs')}, build after ${middle(starts, 'prepareMs')}, ` +
        `BuildKit after ${middle(starts, 'buildMs')}, the container after ${middle(starts, 'containerMs')}`,
    );
    return await report('start', [
      check('push to build container started, p95', percentile(times, 0.95), { unit: 'ms', op: '<=', target: 1_000 }),
      check('push to build container started, median', median(times), { unit: 'ms', op: '<=', target: 1_000 }),
    ]);
  } finally {
    await world.stop();
  }
}

/** What had happened by when, in milliseconds after the hook arrived. */
interface Start {
  readonly cloneMs: number;
  readonly prepareMs: number;
  readonly buildMs: number;
  readonly containerMs: number;
}

function middle(starts: readonly Start[], name: keyof Start): string {
  return `${Math.round(median(starts.map((start) => start[name])))} ms`;
}

async function measure(world: SampleWorld): Promise<Start> {
  const { arrivedMs, runId, buildId } = await world.push(
    `FROM debian:bookworm-slim\nARG MARK=${Date.now()}\nRUN echo "begun $MARK at $(date +%s%3N)" && sleep 600\n`,
  );
  const begunMs = Number(await world.logged(buildId, /^#\d+ begun \d+ at (\d{13})/));
  const stages = await world.stages(buildId);
  await world.api.call('POST', `/v1/runs/${runId}/cancel`, { body: {}, answer: z.unknown() });
  await world.ended(runId, 200);
  await delay(restMs);
  const after = (stage: string) => (stages.get(stage) ?? Number.NaN) - arrivedMs;
  return {
    cloneMs: after('clone'),
    prepareMs: after('prepare'),
    buildMs: after('build'),
    containerMs: begunMs - arrivedMs,
  };
}
