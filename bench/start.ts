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
    const times: number[] = [];
    for (let index = 1; index <= pushes; index += 1) {
      const ms = await measure(world);
      times.push(ms);
      console.log(`push ${index}  ${Math.round(ms)} ms`);
    }
    return await report('start', [
      check('push to build container started, p95', percentile(times, 0.95), { unit: 'ms', op: '<=', target: 1_000 }),
      check('push to build container started, median', median(times), { unit: 'ms', op: '<=', target: 1_000 }),
    ]);
  } finally {
    await world.stop();
  }
}

async function measure(world: SampleWorld): Promise<number> {
  const { arrivedMs, runId, buildId } = await world.push(
    `FROM debian:bookworm-slim\nARG MARK=${Date.now()}\nRUN echo "begun $MARK at $(date +%s%3N)" && sleep 600\n`,
  );
  const begunMs = Number(await world.logged(buildId, /^#\d+ begun \d+ at (\d{13})/));
  await world.api.call('POST', `/v1/runs/${runId}/cancel`, { body: {}, answer: z.unknown() });
  await world.ended(runId, 200);
  await delay(restMs);
  return begunMs - arrivedMs;
}
