import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  createLifecycleWorld,
  startStallingSource,
  type ApiBuild,
  type LifecycleWorld,
  type StallingSource,
} from '../support/build-lifecycle-world.ts';
import { checkoutSample, digestAt, processesWith, type Checkout } from '../support/stack-world.ts';

const both = ['linux/amd64', 'linux/arm64'];
const branches = { type: 'branch', name: 'life-.*', match: 'regexp' } as const;

let source: StallingSource;
let checkout: Checkout;
let world: LifecycleWorld;
beforeAll(async () => {
  source = await startStallingSource();
  checkout = await checkoutSample();
  world = await createLifecycleWorld({ source, checkout });
});
afterAll(async () => {
  await checkout.remove();
  await source.close();
});

const cachedSteps = ({ architectures }: ApiBuild) => architectures.map((each) => each.cachedSteps);
const digests = ({ architectures }: ApiBuild) => architectures.map(({ digest }) => digest);

/** Three steps in a stage of their own, two in the last one; a stage that nobody needs would fail. */
const multiStage = (mark: string) => `FROM debian:bookworm-slim AS compiled
WORKDIR /src/${mark}
COPY tool.txt ./
RUN --mount=type=cache,target=/cache sort tool.txt > /tool && uname -m >> /tool
FROM debian:bookworm-slim AS unused
RUN exit 9
FROM debian:bookworm-slim
COPY --from=compiled --link /tool /tool
COPY page.txt /page.txt
RUN <<EOF
  cat /tool /page.txt > /srv/page
EOF
`;

test('a multi-stage Dockerfile for two architectures: cold, warm, after a one-line change, without cache; its caches are shown and cleaned', async () => {
  const repository = await world.addRepository('stages', {
    ref: branches,
    imageTags: [{ template: 'latest' }, { commitIdLength: 8 }],
    architectures: both,
  });
  const files = { Dockerfile: multiStage(randomUUID()), 'tool.txt': 'b\na\n', 'page.txt': 'one\n' };
  const commit = await checkout.push('life-stages', files);
  const path = `lifecycle/${repository.name}`;

  const cold = await world.untilBuild(await world.press(repository, 'life-stages'));
  expect(cold).toMatchObject({ status: 'success', partial: false });
  expect(cachedSteps(cold)).toEqual([0, 0]);
  expect(new Set(digests(cold)).size).toBe(2);
  expect(await digestAt('hangzhou', `${path}:latest`)).toBe(cold.digest);
  expect(await digestAt('hangzhou', `${path}:${commit.slice(0, 8)}`)).toBe(cold.digest);

  const warm = await world.untilBuild(await world.rebuild(cold.id, {}));
  expect(cachedSteps(warm)).toEqual([6, 6]);
  expect([warm.digest, digests(warm)]).toEqual([cold.digest, digests(cold)]);

  await checkout.push('life-stages', { 'page.txt': 'two\n' });
  const changed = await world.untilBuild(await world.press(repository, 'life-stages'));
  expect(cachedSteps(changed)).toEqual([4, 4]);
  expect(changed.digest).not.toBe(cold.digest);

  const caches = z.object({
    items: z.array(
      z.looseObject({ branch: z.string(), platform: z.string(), sizeBytes: z.number(), hitRate: z.number() }),
    ),
  });
  const shown = await world.api.call('GET', `/v1/repositories/${repository.id}/build-cache`, { answer: caches });
  expect(shown.items.map(({ branch, platform }) => `${branch} ${platform}`)).toEqual(
    both.map((platform) => `life-stages ${platform}`),
  );
  for (const { sizeBytes, hitRate } of shown.items) {
    expect(sizeBytes).toBeGreaterThan(1_000_000);
    expect(hitRate).toBeCloseTo(10 / 18, 2);
  }
  await world.api.call('DELETE', `/v1/repositories/${repository.id}/build-cache?platform=linux/arm64`, {
    answer: z.null(),
  });
  const left = await world.api.call('GET', `/v1/repositories/${repository.id}/build-cache`, { answer: caches });
  expect(left.items.map(({ platform }) => platform)).toEqual(['linux/amd64']);

  await world.api.call('PUT', `/v1/repositories/${repository.id}`, {
    body: { buildSettings: { autoBuild: false, buildRegion: null, noCache: true } },
    headers: { 'if-match': '*' },
    answer: z.unknown(),
  });
  const uncached = await world.untilBuild(await world.press(repository, 'life-stages'));
  // The folder of WORKDIR: BuildKit makes it once, whatever it is told.
  expect(cachedSteps(uncached)).toEqual([1, 1]);
  expect(await world.log(uncached.id)).not.toMatch(/cache manifest|exporting cache/);
});

test('a build secret is used by the build and found in no layer, history or log', async () => {
  const value = `npm_${randomUUID()}`;
  await world.api.call('POST', `/v1/namespaces/${world.namespaceId}/secrets`, {
    body: { name: 'npm-token', value },
    answer: z.unknown(),
  });
  const repository = await world.addRepository('secretive', {
    ref: branches,
    imageTags: [{ template: 'latest' }],
    secrets: [{ id: 'npm', secretRef: 'npm-token' }],
  });
  const step = 'cat /run/secrets/npm; sha256sum < /run/secrets/npm > /srv/sum; base64 -w0 /run/secrets/npm';
  const Dockerfile = `FROM debian:bookworm-slim\nRUN --mount=type=secret,id=npm,required=true ${step}\n`;
  await checkout.push('life-secret', { Dockerfile });
  const build = await world.untilBuild(await world.press(repository, 'life-secret'));
  expect(build).toMatchObject({ status: 'success' });
  const log = await world.log(build.id);
  expect(log).toContain('***');
  const forms = [value, Buffer.from(value).toString('base64')];
  const parts = await world.imageParts(`lifecycle/${repository.name}`, build.digest ?? '');
  for (const form of forms) {
    expect(log).not.toContain(form);
    for (const part of parts) expect(part.includes(form)).toBe(false);
  }
  expect(parts.some((part) => part.includes('srv/sum'))).toBe(true);
});

describe('a build that is canceled', () => {
  const rule = { ref: branches, imageTags: [{ template: '${branch}' }] };

  /** What is left of it: its state, processes whose command line holds `mark`, and its tag. */
  async function cancel(id: string, { path, mark }: { path: string; mark: string }) {
    const canceledAt = performance.now();
    await world.cancel(id);
    const { status, digest, architectures } = await world.untilBuild(id);
    const isQuick = performance.now() - canceledAt < 10_000;
    await expect.poll(() => processesWith(mark), { timeout: 10_000 }).toEqual([]);
    const tag = await digestAt('hangzhou', path);
    return { status, digest, platforms: architectures.map((each) => each.status), isQuick, tag };
  }
  const nothingLeft = { status: 'canceled', digest: null, platforms: ['canceled'], isQuick: true, tag: undefined };

  test('while it clones leaves no process and no tag', async () => {
    const repository = await world.addRepository('cloning', rule);
    await checkout.push('life-clone', { Dockerfile: 'FROM debian:bookworm-slim\n' });
    const stalled = source.stall();
    const id = await world.press(repository, 'life-clone');
    await stalled;
    expect(await world.untilBuild(id, ({ stage }) => stage !== null)).toMatchObject({ stage: 'clone' });
    const end = await cancel(id, { path: 'lifecycle/cloning:life-clone', mark: `${source.url}/shop/web.git` });
    expect(end).toEqual(nothingLeft);
    source.goOn();
  });

  test('while a step runs leaves no process and no tag', async () => {
    const repository = await world.addRepository('stepping', rule);
    const seconds = 600 + Math.floor(Math.random() * 1e6);
    await checkout.push('life-step', { Dockerfile: `FROM debian:bookworm-slim\nRUN echo asleep; sleep ${seconds}\n` });
    const id = await world.press(repository, 'life-step');
    await world.untilLine(id, ({ text }) => text.endsWith(' asleep'));
    const end = await cancel(id, { path: 'lifecycle/stepping:life-step', mark: `sleep ${seconds}` });
    expect(end).toEqual(nothingLeft);
  });

  test('while its image is pushed leaves no process and no tag', async () => {
    const repository = await world.addRepository('pushing', rule);
    const Dockerfile = 'FROM debian:bookworm-slim\nRUN head -c 600M /dev/urandom > /srv/noise\n';
    await checkout.push('life-push', { Dockerfile });
    const id = await world.press(repository, 'life-push');
    await world.untilLine(id, ({ stage, text }) => stage === 'push' && text.includes('exporting to image'));
    const end = await cancel(id, { path: 'lifecycle/pushing:life-push', mark: '/lifecycle/pushing,push=true' });
    expect(end).toEqual(nothingLeft);
  });
});

test('an architecture that fails alone is built again alone: the other keeps its digest, and the tag comes with the second', async () => {
  const gate = z.looseObject({ id: z.string() });
  const secret = await world.api.call('POST', `/v1/namespaces/${world.namespaceId}/secrets`, {
    body: { name: 'gate', value: 'closed-for-arm64' },
    answer: gate,
  });
  const repository = await world.addRepository('half', {
    ref: branches,
    imageTags: [{ template: 'latest' }],
    architectures: both,
    secrets: [{ id: 'gate', secretRef: 'gate' }],
  });
  // The other architecture has its image by then.
  const step = 'test $(uname -m) = x86_64 || { sleep 8; grep -q open /run/secrets/gate; }';
  const Dockerfile = `FROM debian:bookworm-slim\nRUN date +%N > /srv/made\nRUN --mount=type=secret,id=gate ${step}\n`;
  await checkout.push('life-half', { Dockerfile });
  const first = await world.untilBuild(await world.press(repository, 'life-half'));
  expect(first).toMatchObject({
    status: 'failed',
    digest: null,
    reason: { code: 'build.step_failed', fault: 'user' },
    architectures: [
      { platform: 'linux/amd64', status: 'success' },
      { platform: 'linux/arm64', status: 'failed', digest: null },
    ],
  });
  expect(first.reason?.text).toContain('Dockerfile:3');
  expect(await digestAt('hangzhou', 'lifecycle/half:latest')).toBeUndefined();

  await world.api.call('PUT', `/v1/secrets/${secret.id}`, {
    body: { value: 'open-for-arm64' },
    headers: { 'if-match': '*' },
    answer: z.unknown(),
  });
  const second = await world.untilBuild(await world.rebuild(first.id, { architectures: 'failed' }));
  expect(second).toMatchObject({
    status: 'success',
    partial: false,
    architectures: [
      { platform: 'linux/amd64', status: 'success', digest: first.architectures[0]?.digest, reused: true },
      { platform: 'linux/arm64', status: 'success', reused: false },
    ],
  });
  expect(await digestAt('hangzhou', 'lifecycle/half:latest')).toBe(second.digest);
  const index = await world.api.call('GET', `/v1/repositories/${repository.id}/tags/latest`, { answer: z.unknown() });
  expect(index).toMatchObject({ platforms: both });
});
