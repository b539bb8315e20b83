import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { blockedTag } from '../../domain/scan.ts';
import type { ApiClient } from '../../stack/api-client.ts';
import {
  callsFor,
  checkoutSample,
  type Checkout,
  digestAt,
  runOf,
  stackApi,
  statesOf,
  stepOf,
  untilRun,
} from '../support/stack-world.ts';

const dockerfile = (base: string, text: string) => `FROM ${base}\nRUN echo ${text} > /etc/shop\n`;
const idSchema = z.looseObject({ id: z.string() });
const listSchema = z.object({ items: z.array(idSchema) });

let api: ApiClient;
let checkout: Checkout;
let repository: string;
beforeAll(async () => {
  api = stackApi();
  checkout = await checkoutSample();
  repository =
    (await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', { answer: listSchema }))
      .items[0]?.id ?? '';
});
afterAll(() => checkout.remove());

describe('a push to main', () => {
  test('ends on a Record of five steps, one index with the same digest in both registries, and one signed call per tag', async () => {
    const [trigger] = (await api.call('GET', `/v1/repositories/${repository}/triggers`, { answer: listSchema })).items;
    const { secret } = await api.call('POST', `/v1/triggers/${trigger?.id}/rotate-secret`, {
      answer: z.looseObject({ secret: z.string() }),
    });
    const commit = await checkout.push('main', { 'catalogue.tsv': 'rope\t12\nanchor\t80\n' });
    const run = await untilRun(api, await runOf(api, commit));

    expect(statesOf(run)).toEqual({
      build: 'success',
      push: 'success',
      scan: 'success',
      replicate: 'success',
      trigger: 'success',
    });
    expect(run).toMatchObject({ result: 'success', cause: 'source_push' });
    const digest = run.images[0]?.digest ?? '';
    expect(run.images).toEqual([
      { tag: 'latest', digest, platforms: ['linux/amd64', 'linux/arm64'] },
      { tag: commit.slice(0, 8), digest, platforms: ['linux/amd64', 'linux/arm64'] },
    ]);
    for (const instance of ['hangzhou', 'singapore']) {
      expect(await digestAt(instance, 'shop/web:latest')).toBe(digest);
      expect(await digestAt(instance, `shop/web:${commit.slice(0, 8)}`)).toBe(digest);
    }

    const calls = await callsFor(digest);
    expect(calls).toHaveLength(2);
    expect(new Set(calls.map(({ body }) => JSON.parse(body).data.tag))).toEqual(
      new Set(['latest', commit.slice(0, 8)]),
    );
    for (const { body, headers } of calls) {
      expect(() => new Webhook(secret).verify(body, { ...headers })).not.toThrow();
      expect(JSON.parse(body)).toMatchObject({
        type: 'image.updated',
        data: { instance: 'hangzhou', namespace: 'shop', repository: 'web', digest, commit },
      });
    }
  });

  test('shows its log by line, and every architecture in it', async () => {
    const { items } = await api.call('GET', `/v1/repositories/${repository}/builds`, { answer: listSchema });
    const log = await api.call('GET', `/v1/builds/${items[0]?.id}/log?limit=5000`, {
      answer: z.object({
        items: z.array(z.looseObject({ line: z.number(), text: z.string(), platform: z.string().nullable() })),
        lines: z.number(),
        ended: z.boolean(),
      }),
    });
    expect(log.ended).toBe(true);
    expect(log.items.map(({ line }) => line)).toEqual(log.items.map((_, index) => index + 1));
    expect(new Set(log.items.map(({ platform }) => platform))).toEqual(
      expect.objectContaining(new Set(['linux/amd64', 'linux/arm64'])),
    );
  });
});

test('a push of release-v1 writes the tag of the golden rule, with the commit and time of the push', async () => {
  const commit = await checkout.push('release-v1', { 'catalogue.tsv': 'lantern\t9\n' });
  const run = await untilRun(api, await runOf(api, commit));

  expect(run.result).toBe('success');
  const [image] = run.images;
  const now = new Date(Date.now() + 8 * 3_600_000).toISOString().replaceAll(/[-T:]/g, '').slice(0, 12);
  expect(image?.tag).toMatch(new RegExp(`^v1-(\\d{12})-${commit.slice(0, 30)}$`));
  expect(Math.abs(Number(image?.tag.split('-')[1]) - Number(now))).toBeLessThanOrEqual(45);
  expect(await digestAt('singapore', `shop/web:${image?.tag}`)).toBe(image?.digest);
});

test('a push whose base lacks security updates is denied with its CVEs: no tag moves, nothing is copied or called, a backup is kept', async () => {
  const before = await digestAt('hangzhou', 'shop/web:latest');
  const commit = await checkout.push('main', { Dockerfile: dockerfile('debian:bookworm-unpatched', 'unpatched') });
  const run = await untilRun(api, await runOf(api, commit));

  expect(run).toMatchObject({ status: 'complete', result: 'denied', reason: { code: 'scan.denied' } });
  expect(run.reason?.text).toMatch(/^Blocked: \d+ findings? at or above high \(limit 1\) in \S+/);
  expect(statesOf(run)).toEqual({
    build: 'success',
    push: 'success',
    scan: 'denied',
    replicate: 'skipped',
    trigger: 'skipped',
  });
  const scan = z
    .looseObject({ cves: z.array(z.string()), backup: z.array(z.string()), scan: z.string() })
    .parse(stepOf(run, 'scan').result);
  expect(scan.cves[0]).toMatch(/^CVE-\d{4}-\d+$/);
  const findings = await api.call('GET', `/v1/scans/${scan.scan}/findings?limit=100`, {
    answer: z.object({ items: z.array(z.looseObject({ cve: z.string() })) }),
  });
  expect(findings.items.map(({ cve }) => cve)).toContain(scan.cves[0]);

  const digest = z.looseObject({ digest: z.string() }).parse(stepOf(run, 'push').result).digest;
  expect(await digestAt('hangzhou', 'shop/web:latest')).toBe(before);
  expect(await digestAt('singapore', 'shop/web:latest')).toBe(before);
  expect(await digestAt('hangzhou', `shop/web:${commit.slice(0, 8)}`)).toBeUndefined();
  expect(await digestAt('singapore', `shop/web@${digest}`)).toBeUndefined();
  expect(await callsFor(digest)).toEqual([]);
  expect(scan.backup).toContain(blockedTag('latest', run.id));
  expect(await digestAt('hangzhou', `shop/web:${blockedTag('latest', run.id)}`)).toBe(digest);
});

test('a Dockerfile that does not parse is told with its line, at once and without a second try', async () => {
  const commit = await checkout.push('main', { Dockerfile: 'FROM debian:bookworm-slim\nRUNN echo hello\n' });
  const run = await untilRun(api, await runOf(api, commit));

  expect(run).toMatchObject({ result: 'failed', reason: { code: 'build.dockerfile_invalid' } });
  expect(run.reason?.text).toContain('Dockerfile:2: unknown instruction: RUNN');
  expect(statesOf(run)).toMatchObject({ build: 'failed', push: 'skipped', trigger: 'skipped' });
});

test('a step that fails is told with the line of the Dockerfile and its exit code', async () => {
  const commit = await checkout.push('main', { Dockerfile: 'FROM debian:bookworm-slim\n\nRUN exit 7\n' });
  const run = await untilRun(api, await runOf(api, commit));

  expect(run).toMatchObject({ result: 'failed', reason: { code: 'build.step_failed' } });
  expect(run.reason?.text).toContain('Dockerfile:3 ended with exit code 7');
});
