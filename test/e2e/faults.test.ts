import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ApiClient } from '../../stack/api-client.ts';
import { createFaultProxy } from '../support/fault-proxy.ts';
import {
  callsFor,
  checkoutSample,
  type Checkout,
  currentStack,
  deliver,
  digestAt,
  hasEnded,
  processesWith,
  type Run,
  runOf,
  runsOf,
  stackApi,
  stackFile,
  statesOf,
  stepOf,
  untilRun,
} from '../support/stack-world.ts';
import { openStackCheck, type StackCheck } from '../support/stack-check.ts';

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
// Whatever a test did, nothing is lost, doubled, stranded or out of order after it.
afterEach(() => checker.untilClean(), 150_000);

const slowly = (seconds: number, mark: string) =>
  `FROM debian:bookworm-slim\nRUN sleep ${seconds} && echo ${mark} > /etc/mark\n`;
const isBuilding = (run: Run) => stepOf(run, 'build').children.some(({ state }) => state === 'running');

test('a worker killed in mid-build loses nothing: the run completes with one image and one call per tag', async () => {
  const commit = await checkout.push('main', { Dockerfile: slowly(6, randomUUID()) });
  const id = await runOf(api, commit);
  await untilRun(api, id, isBuilding);
  const { pids } = await currentStack();
  process.kill(pids['worker'] ?? 0, 'SIGKILL');
  const run = await untilRun(api, id);

  expect(run.result).toBe('success');
  const digest = run.images[0]?.digest ?? '';
  const ids = (await callsFor(digest)).map(({ headers }) => headers['webhook-id']);
  expect(new Set(ids).size).toBe(run.images.length);
  expect(await digestAt('singapore', 'shop/web:latest')).toBe(digest);
});

test('the same delivery a hundred times is one run', async () => {
  const commit = await checkout.git('rev-parse', 'HEAD');
  await checkout.git('push', '--quiet', 'origin', 'HEAD:refs/heads/release-twice');
  const deliveryId = randomUUID();
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => deliver({ commit, branch: 'release-twice', deliveryId })),
  );

  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 202));
  expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
  const id = await runOf(api, commit);
  await untilRun(api, id);
  const { items } = await api.call('GET', `/v1/runs?commit=${commit}&ref=release-twice`, {
    answer: z.object({ items: z.array(z.unknown()) }),
  });
  expect(items).toHaveLength(1);
});

describe('canceling', () => {
  test('in build leaves no process and no tag', async () => {
    const mark = `slipway-${randomUUID()}`;
    const commit = await checkout.push('main', {
      Dockerfile: `FROM debian:bookworm-slim\nRUN sleep 300 && echo ${mark}\n`,
    });
    const id = await runOf(api, commit);
    await untilRun(api, id, isBuilding);
    await expect.poll(() => processesWith(mark), { timeout: 60_000 }).not.toEqual([]);
    const before = await digestAt('hangzhou', 'shop/web:latest');

    const asked = Date.now();
    await api.call('POST', `/v1/runs/${id}/cancel`, { body: {}, answer: z.unknown() });
    const run = await untilRun(api, id);
    await expect.poll(() => processesWith(mark), { timeout: 10_000 }).toEqual([]);
    expect(Date.now() - asked).toBeLessThan(10_000);

    expect(run).toMatchObject({ status: 'canceled', result: 'canceled' });
    expect(statesOf(run)).toEqual({
      build: 'canceled',
      push: 'skipped',
      scan: 'skipped',
      replicate: 'skipped',
      trigger: 'skipped',
    });
    expect(await digestAt('hangzhou', 'shop/web:latest')).toBe(before);
    expect(await digestAt('hangzhou', `shop/web:${commit.slice(0, 8)}`)).toBeUndefined();
  });

  test('in scan moves no tag', async () => {
    const commit = await checkout.push('main', { Dockerfile: slowly(0, randomUUID()) });
    const id = await runOf(api, commit);
    await untilRun(api, id, (run) => stepOf(run, 'scan').state === 'running' || hasEnded(run));
    await api.call('POST', `/v1/runs/${id}/cancel`, { body: {}, answer: z.unknown() });
    const run = await untilRun(api, id);

    expect(run.result).toBe('canceled');
    expect(statesOf(run)).toMatchObject({ scan: 'canceled', replicate: 'skipped', trigger: 'skipped' });
    expect(await digestAt('hangzhou', `shop/web:${commit.slice(0, 8)}`)).toBeUndefined();
  });
});

describe('a registry that cannot be reached', () => {
  let proxyTarget: { host: string; port: number };
  let instance: { name: string; region: string; kind: string; registryUrl: string };
  const moveTo = (registryUrl: string) =>
    api.call('PUT', '/v1/instances/singapore', { body: { ...instance, registryUrl }, answer: z.unknown() });

  beforeAll(async () => {
    const { registryUrl } = stackFile().instances.find(({ name }) => name === 'singapore') ?? { registryUrl: '' };
    const { hostname, port } = new URL(registryUrl);
    proxyTarget = { host: hostname, port: Number(port) };
    instance = { name: 'singapore', region: 'ap-southeast-1', kind: 'managed', registryUrl };
  });
  afterAll(() => moveTo(instance.registryUrl));

  test('makes the step wait with the reason, and end well when it returns', async () => {
    const port = await closedPort();
    await moveTo(`http://127.0.0.1:${port}`);
    const commit = await checkout.push('main', { Dockerfile: slowly(0, randomUUID()) });
    const id = await runOf(api, commit);
    const waiting = await untilRun(api, id, (run) =>
      stepOf(run, 'replicate').children.some(({ reason }) => reason !== null),
    );
    expect(stepOf(waiting, 'replicate')).toMatchObject({ state: 'running' });
    expect(stepOf(waiting, 'replicate').children[0]?.reason).toMatchObject({ code: 'replication.network_error' });
    expect(stepOf(waiting, 'replicate').children[0]?.reason?.text).toMatch(/^Waiting to try again: /);

    const proxy = await createFaultProxy(proxyTarget);
    await moveTo(`http://${proxy.host}`);
    const run = await untilRun(api, id);
    await proxy.close();
    expect(run.result).toBe('success');
    expect(await digestAt('singapore', `shop/web:${commit.slice(0, 8)}`)).toBe(run.images[0]?.digest);
  });

  test('can be canceled while it waits, and nothing is called', async () => {
    await moveTo(`http://127.0.0.1:${await closedPort()}`);
    const commit = await checkout.push('main', { Dockerfile: slowly(0, randomUUID()) });
    const id = await runOf(api, commit);
    await untilRun(api, id, (run) => stepOf(run, 'replicate').state === 'running');
    const asked = Date.now();
    await api.call('POST', `/v1/runs/${id}/cancel`, { body: {}, answer: z.unknown() });
    const run = await untilRun(api, id);
    expect(Date.now() - asked).toBeLessThan(10_000);
    expect(statesOf(run)).toMatchObject({ replicate: 'canceled', trigger: 'skipped' });
    await moveTo(instance.registryUrl);
    expect(await digestAt('singapore', `shop/web:${commit.slice(0, 8)}`)).toBeUndefined();
  });
});

test('while Temporal does not answer, twenty deliveries are accepted, and each is run once after it is back', async () => {
  const answer = z.object({ items: z.array(z.looseObject({ id: z.string() })) });
  const { items } = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', { answer });
  const rule = {
    ref: { type: 'branch', name: String.raw`quiet(?<number>\d+)`, match: 'regexp' },
    imageTags: [{ template: 'quiet-${number}' }],
  };
  await api.call('POST', `/v1/repositories/${items[0]?.id}/build-rules`, { body: rule, answer: z.unknown() });
  const { pids } = await currentStack();
  const temporal = pids['temporal'] ?? 0;
  const commits: string[] = [];
  process.kill(temporal, 'SIGSTOP');
  try {
    for (let index = 0; index < 20; index += 1) {
      await checkout.git('commit', '--quiet', '--allow-empty', '--message', `Wait ${index} ${randomUUID()}`);
      const commit = await checkout.git('rev-parse', 'HEAD');
      commits.push(commit);
      await checkout.git('push', '--quiet', '--force', 'origin', `HEAD:refs/heads/quiet${index}`);
      expect(await deliver({ commit, branch: `quiet${index}` })).toEqual({ status: 202, duplicate: false });
    }
  } finally {
    process.kill(temporal, 'SIGCONT');
  }
  for (const commit of commits) {
    const run = await untilRun(api, await runOf(api, commit));
    expect(run.result).toBe('success');
    expect(await runsOf(api, commit)).toHaveLength(1);
  }
}, 600_000);

/** A port where nobody listens. */
async function closedPort(): Promise<number> {
  const server: Server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
