import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { check, median, percentile, report } from './report.ts';
import { startSampleWorld } from './sample-world.ts';
import type { SampleWorld } from './sample-world.ts';

const cancels = 20;

/**
 * From the request to cancel a build in mid-step to both its ends: the run is shown as canceled, and no process of the build is
 * left on the machine.
 */
export async function run(): Promise<boolean> {
  const world = await startSampleWorld();
  try {
    await measure(world);
    const times: number[] = [];
    for (let index = 1; index <= cancels; index += 1) {
      const ms = await measure(world);
      times.push(ms);
      console.log(`cancel ${index}  ${Math.round(ms)} ms`);
    }
    return await report('cancel', [
      check('cancel to nothing left, p95', percentile(times, 0.95), { unit: 'ms', op: '<=', target: 2_000 }),
      check('cancel to nothing left, longest', Math.max(...times), { unit: 'ms', op: '<=', target: 10_000 }),
      check('cancel to nothing left, median', median(times), { unit: 'ms', op: '<=', target: 2_000 }),
    ]);
  } finally {
    await world.stop();
  }
}

async function measure(world: SampleWorld): Promise<number> {
  const mark = randomUUID();
  const { runId, buildId } = await world.push(
    `FROM debian:bookworm-slim\nRUN echo "begun ${mark}"; sh -c 'sleep 600; echo ${mark}'\n`,
  );
  await world.logged(buildId, new RegExp(`^#\\d+ (begun) ${mark}`));
  // Where in the heartbeat's second the request falls is chance.
  await delay(Math.random() * 1_000);
  const asked = performance.now();
  await world.api.call('POST', `/v1/runs/${runId}/cancel`, { body: {}, answer: z.unknown() });
  const { result, reason } = await world.ended(runId, 25);
  if (result !== 'canceled') throw new Error(`the run was not canceled but ${result}: ${reason?.text}`);
  while ((await world.processes(mark)) > 0) await delay(25);
  return performance.now() - asked;
}
