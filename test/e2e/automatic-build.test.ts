import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { ApiClient } from '../../stack/api-client.ts';
import {
  checkoutSample,
  type Checkout,
  copyImage,
  type Run,
  runOf,
  sampleRepositoryId,
  stackApi,
  stackEngine,
  untilRun,
} from '../support/stack-world.ts';

let api: ApiClient;
let checkout: Checkout;
let engine: Awaited<ReturnType<typeof stackEngine>>;
beforeAll(async () => {
  api = stackApi();
  checkout = await checkoutSample();
  engine = await stackEngine();
});
afterAll(async () => {
  await engine.close();
  await checkout.remove();
});

test('an image made from a hosted base image is built anew when that one changes, and once', async () => {
  const base = 'slipway-base/library/changing:1';
  await copyImage('hangzhou', { from: 'slipway-base/library/debian:bookworm-unpatched', to: base });
  await createRule({ name: 'rebuilt', onBaseImageUpdate: true });
  const commit = await checkout.push('rebuilt', { Dockerfile: 'FROM changing:1\nLABEL made-from=changing\n' });
  const first = await untilRun(api, await runOf(api, commit));
  expect([first.cause, first.steps[0]?.state]).toEqual(['source_push', 'success']);
  await engine.run('baseImageWatch');
  expect(await listed('docker.io/library/changing:1')).toHaveLength(1);

  await copyImage('hangzhou', { from: 'slipway-base/library/debian:bookworm-slim', to: base });
  await engine.client.schedule.getHandle('slipway-base-images').trigger();
  const again = await runByCause(commit, 'base_image');
  expect(again.result).toBe('success');
  await engine.run('baseImageWatch');
  expect((await causesOf(commit)).toSorted()).toEqual(['base_image', 'source_push']);
});

test('a rule with a schedule builds what its ref is at each occurrence, until it is disabled', async () => {
  const rule = { name: 'nightly', schedule: { cron: '0 3 * * *', timeZone: 'Asia/Shanghai' } };
  const { id, path } = await createRule(rule);
  const commit = await checkout.push('nightly', { Dockerfile: 'FROM debian:bookworm-slim\nLABEL made=nightly\n' });
  await untilRun(api, await runOf(api, commit));
  await engine.run('maintenance');
  const schedule = engine.client.schedule.getHandle(`build-rule/${id}`);
  const { info } = await schedule.describe();
  expect(info.nextActionTimes[0]?.toISOString()).toMatch(/T19:00:00.000Z$/);

  await schedule.trigger();
  expect((await runByCause(commit, 'schedule')).result).toBe('success');

  await api.call('PUT', path, {
    body: { ...bodyOf(rule), enabled: false },
    headers: { 'if-match': '*' },
    answer: z.unknown(),
  });
  await engine.run('maintenance');
  await expect(schedule.describe()).rejects.toThrow('not found');
});

type Rule = Readonly<Record<string, unknown>> & { readonly name: string };

function bodyOf({ name, ...more }: Rule): object {
  return { ref: { type: 'branch', name }, imageTags: [{ template: name }], ...more };
}

async function createRule(rule: Rule): Promise<{ id: string; path: string }> {
  const rules = `/v1/repositories/${await sampleRepositoryId(api)}/build-rules`;
  const { id } = await api.call('POST', rules, { body: bodyOf(rule), answer: z.looseObject({ id: z.string() }) });
  return { id, path: `/v1/build-rules/${id}` };
}

const runsSchema = z.object({ items: z.array(z.looseObject({ id: z.string(), cause: z.string() })) });

async function causesOf(commit: string): Promise<string[]> {
  const { items } = await api.call('GET', `/v1/runs?commit=${commit}`, { answer: runsSchema });
  return items.map(({ cause }) => cause);
}

/** The run of the commit with this cause, once there is one and it has ended. */
async function runByCause(commit: string, cause: string): Promise<Run> {
  const { items } = await api.until(`/v1/runs?commit=${commit}`, {
    answer: runsSchema,
    isDone: (page) => page.items.some((run) => run.cause === cause),
    everyMs: 200,
  });
  return untilRun(api, items.find((run) => run.cause === cause)?.id ?? '');
}

async function listed(name: string): Promise<unknown[]> {
  const answer = z.object({ items: z.array(z.looseObject({ name: z.string() })) });
  const { items } = await api.call('GET', '/v1/base-images?instance=hangzhou&limit=100', { answer });
  return items.filter((image) => image.name === name);
}
