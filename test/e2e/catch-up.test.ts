import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { ApiClient } from '../../stack/api-client.ts';
import {
  checkoutSample,
  type Checkout,
  currentStack,
  runOf,
  runsOf,
  sampleRepositoryId,
  stackApi,
  stackEngine,
  stackFile,
  untilRun,
} from '../support/stack-world.ts';

let api: ApiClient;
let checkout: Checkout;
let engine: Awaited<ReturnType<typeof stackEngine>>;
beforeAll(async () => {
  api = stackApi();
  checkout = await checkoutSample();
  engine = await stackEngine();
  await engine.run('maintenance');
  await createRules();
});
afterAll(async () => {
  await engine.close();
  await checkout.remove();
});

test('each tip pushed while the API was away is built once, with the cause catch_up', async () => {
  const branches = ['missed1', 'missed2', 'missed3'];
  const tags = ['missed-v1', 'missed-v2', 'missed-v3', 'missed-v4'];
  const early = await newCommit();
  const tips = new Map<string, string>();
  const startApi = await stopApi();
  try {
    await push(branches.map((branch) => `${early}:refs/heads/${branch}`));
    for (const branch of branches) tips.set(`refs/heads/${branch}`, await newCommit());
    for (const tag of tags) tips.set(`refs/tags/${tag}`, await newCommit());
    await push([...tips].map(([ref, commit]) => `${commit}:${ref}`));
  } finally {
    await startApi();
  }
  for (const commit of [early, ...tips.values()]) expect(await runsOf(api, commit)).toEqual([]);

  await engine.client.schedule.getHandle('slipway-reconcile').trigger();
  for (const commit of tips.values()) {
    const found = await untilRun(api, await runOf(api, commit));
    expect(found).toMatchObject({ cause: 'catch_up', result: 'success' });
  }
  // Other sources of this stack may have gone with the tests that made them.
  expect(await engine.run('sourceReconciliation')).toMatchObject({ missed: 0 });
  for (const commit of tips.values()) expect(await runsOf(api, commit)).toHaveLength(1);
  expect(await runsOf(api, early)).toEqual([]);
});

test('a push whose delivery the host never sends is found, one that was delivered is not built again', async () => {
  const file = join(stackFile().home, 'git', 'hooks.json');
  const hooks = await readFile(file, 'utf8');
  await writeFile(file, '{}');
  const lost = await newCommit();
  try {
    await push([`${lost}:refs/heads/missed4`]);
  } finally {
    await writeFile(file, hooks);
  }
  const delivered = await newCommit();
  await push([`${delivered}:refs/heads/missed5`]);
  const told = await untilRun(api, await runOf(api, delivered));
  expect(told.cause).toBe('source_push');

  expect(await engine.run('sourceReconciliation')).toMatchObject({ missed: 1 });
  const found = await untilRun(api, await runOf(api, lost));
  expect(found).toMatchObject({ cause: 'catch_up', result: 'success' });
  expect(await runsOf(api, delivered)).toHaveLength(1);
});

/** Rules of their own for what this file pushes, one architecture each. */
async function createRules(): Promise<void> {
  const path = `/v1/repositories/${await sampleRepositoryId(api)}/build-rules`;
  for (const [type, name] of [
    ['branch', String.raw`missed(?<number>\d+)`],
    ['tag', String.raw`missed-v(?<number>\d+)`],
  ] as const) {
    await api.call('POST', path, {
      body: { ref: { type, name, match: 'regexp' }, imageTags: [{ template: `missed-${type}-\${number}` }] },
      answer: z.unknown(),
    });
  }
}

async function newCommit(): Promise<string> {
  await checkout.git('commit', '--quiet', '--allow-empty', '--message', `Change ${randomUUID()}`);
  return checkout.git('rev-parse', 'HEAD');
}

async function push(refs: readonly string[]): Promise<void> {
  await checkout.git('push', '--quiet', '--force', 'origin', ...refs);
}

/** Kills the API while nobody may start it again; the answer lets it come back, and waits until it answers. */
async function stopApi(): Promise<() => Promise<void>> {
  const { pids } = await currentStack();
  const supervisor = pids['supervisor'] ?? 0;
  process.kill(supervisor, 'SIGSTOP');
  process.kill(pids['api'] ?? 0, 'SIGKILL');
  return async () => {
    process.kill(supervisor, 'SIGCONT');
    while (!(await isReady())) await delay(100);
  };
}

function isReady(): Promise<boolean> {
  return fetch(`${stackFile().url}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}
