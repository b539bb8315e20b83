import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { ApiClient } from '../../stack/api-client.ts';
import { openStackCheck, type StackCheck } from '../support/stack-check.ts';
import {
  checkoutSample,
  type Checkout,
  digestAt,
  processesWith,
  type Run,
  runOf,
  stackApi,
  stepOf,
  untilRun,
} from '../support/stack-world.ts';

let api: ApiClient;
let checkout: Checkout;
let checker: StackCheck;
beforeAll(async () => {
  api = stackApi();
  checkout = await checkoutSample();
  checker = await openStackCheck();
});
afterAll(async () => {
  await checkout.remove();
  await checker.close();
});
afterEach(() => checker.untilClean(), 150_000);

const dockerfile = (mark: string, seconds: number) =>
  `FROM debian:bookworm-slim\nRUN echo ${mark} && sh -c 'sleep ${seconds}; echo ${mark}'\n`;
const isBuilding = (run: Run) => stepOf(run, 'build').children.some(({ state }) => state === 'running');
const newBranch = () => `release-${randomUUID().replaceAll('-', '')}`;
const itemsSchema = z.object({ items: z.array(z.looseObject({ id: z.string() })) });

test('a second push to a branch stops the run of the first and delivers; both Records name each other', async () => {
  const branch = newBranch();
  const [slow, quick] = [`slow-${randomUUID()}`, `quick-${randomUUID()}`];
  const older = await runOf(api, await checkout.push(branch, { Dockerfile: dockerfile(slow, 600) }));
  await untilRun(api, older, isBuilding);
  await expect.poll(() => processesWith(slow), { timeout: 60_000 }).not.toEqual([]);
  const newer = await runOf(api, await checkout.push(branch, { Dockerfile: dockerfile(quick, 0) }));
  const stopped = await untilRun(api, older);
  await expect.poll(() => processesWith(slow), { timeout: 10_000 }).toEqual([]);
  const delivered = await untilRun(api, newer);

  expect(stopped).toMatchObject({
    status: 'canceled',
    result: 'canceled',
    reason: { code: 'superseded', text: `Superseded by #${delivered.number}` },
    supersededBy: { id: newer, number: delivered.number },
    images: [],
  });
  expect(delivered).toMatchObject({ result: 'success', supersedes: { id: older, number: stopped.number } });
});

test('under queue the second run waits with its place, and starts when the first has ended', async () => {
  const { items } = await api.call('GET', '/v1/instances/hangzhou/chains', { answer: itemsSchema });
  const [chain] = items;
  const definition = Object.fromEntries(
    ['name', 'description', 'scope', 'nodes', 'enabled'].map((name) => [name, chain?.[name]]),
  );
  const change = (concurrency: string | null) =>
    api.call('PUT', `/v1/chains/${chain?.id}`, {
      body: { ...definition, concurrency },
      headers: { 'if-match': '*' },
      answer: z.unknown(),
    });
  await change('queue');
  try {
    const branch = newBranch();
    const first = await runOf(api, await checkout.push(branch, { Dockerfile: dockerfile(randomUUID(), 5) }));
    await untilRun(api, first, isBuilding);
    const second = await runOf(api, await checkout.push(branch, { Dockerfile: dockerfile(randomUUID(), 0) }));
    const waiting = await untilRun(api, second, () => true);
    expect(waiting).toMatchObject({ status: 'queued', queue: { place: 1, of: 1 } });
    const ended = await untilRun(api, first);
    const started = await untilRun(api, second);

    expect([ended.result, started.result]).toEqual(['success', 'success']);
    const at = (run: Run, field: string) => Date.parse(z.string().parse(run[field]));
    expect(at(started, 'startedAt')).toBeGreaterThanOrEqual(at(ended, 'endedAt'));
    expect(at(started, 'startedAt') - at(ended, 'endedAt')).toBeLessThan(10_000);
  } finally {
    await change(null);
  }
});

test("a repository set to another region is built by that region's workers and keeps its image at home", async () => {
  const found = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', {
    answer: z.object({ items: z.array(z.looseObject({ id: z.string(), summary: z.string() })) }),
  });
  const [repository] = found.items;
  const change = (buildRegion: string | null) =>
    api.call('PUT', `/v1/repositories/${repository?.id}`, {
      body: { summary: repository?.summary, buildSettings: { buildRegion } },
      answer: z.unknown(),
    });
  await expect(change('eu-west-9')).rejects.toThrow('No worker builds in the region "eu-west-9" now');
  await change('ap-southeast-1');
  try {
    const commit = await checkout.push(newBranch(), { Dockerfile: dockerfile(randomUUID(), 0) });
    const run = await untilRun(api, await runOf(api, commit));
    expect(run.result).toBe('success');
    const build = await api.call('GET', `/v1/builds/${z.string().parse(run['build'])}`, {
      answer: z.looseObject({ region: z.string() }),
    });
    expect(build.region).toBe('ap-southeast-1');
    expect(await digestAt('hangzhou', `shop/web:${run.images[0]?.tag}`)).toBe(run.images[0]?.digest);
  } finally {
    await change(null);
  }
});

test('an old slow build that ends last moves no tag, and both Records say who holds it', async () => {
  const { items } = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', {
    answer: itemsSchema,
  });
  const rule = {
    ref: { type: 'branch', name: 'fenced-.*', match: 'regexp' },
    imageTags: [{ template: 'fenced' }],
  };
  await api.call('POST', `/v1/repositories/${items[0]?.id}/build-rules`, { body: rule, answer: z.unknown() });
  const mark = randomUUID();
  const older = await runOf(api, await checkout.push(`fenced-a-${mark}`, { Dockerfile: dockerfile(mark, 25) }));
  await untilRun(api, older, isBuilding);
  const newer = await runOf(api, await checkout.push(`fenced-b-${mark}`, { Dockerfile: dockerfile(randomUUID(), 0) }));
  const first = await untilRun(api, newer);
  const last = await untilRun(api, older);

  expect([first.result, last.result]).toEqual(['success', 'success']);
  expect(Date.parse(z.string().parse(last['endedAt']))).toBeGreaterThan(Date.parse(z.string().parse(first['endedAt'])));
  expect(last.reason?.text).toContain('1 tag not moved, a newer run holds it');
  expect(await digestAt('hangzhou', 'shop/web:fenced')).toBe(first.images[0]?.digest);
  expect(last['tagFence']).toEqual({
    heldBy: [{ tag: 'fenced', run: { id: newer, number: first.number } }],
    keptFrom: [],
  });
  expect((await untilRun(api, newer))['tagFence']).toEqual({
    heldBy: [],
    keptFrom: [{ tag: 'fenced', run: { id: older, number: last.number } }],
  });
});
