import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { rootFolder } from '../../stack/settings.ts';

const composeText = await readFile(join(rootFolder, 'docker-compose.yml'), 'utf8');

const conditionSchema = z.object({
  condition: z.enum(['service_healthy', 'service_completed_successfully']),
});
const serviceSchema = z.looseObject({
  image: z.string(),
  build: z.object({ context: z.string() }).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), conditionSchema).default({}),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).optional(),
  restart: z.string(),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  mem_limit: z.string().optional(),
  networks: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
});
const { services, networks } = z
  .object({
    services: z.record(z.string(), serviceSchema),
    networks: z.record(z.string(), z.looseObject({ internal: z.boolean().default(false) })),
  })
  .parse(parse(composeText, { merge: true }));
const all = Object.entries(services);
const runsOnce = (service: z.infer<typeof serviceSchema>): boolean => service.restart === 'no';

describe.each(all)('the service %s', (_, service) => {
  test('has its image by exact tag', () => {
    expect(service.image).toMatch(/^[a-z0-9./-]+:v?(?:qemu-v)?\d+[\w.-]*$/);
  });

  test('has a read-only root, no capabilities and a memory limit', () => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    expect(service.mem_limit).toMatch(/^\d+[mg]$/);
  });

  test('says whether it is healthy, or ends by itself', () => {
    expect(service.healthcheck !== undefined || runsOnce(service)).toBe(true);
  });

  test('waits for what it needs to be healthy, or to have ended well if it runs once', () => {
    for (const [name, { condition }] of Object.entries(service.depends_on)) {
      const needed = services[name];
      expect(needed).toBeDefined();
      const expected = needed !== undefined && runsOnce(needed) ? 'service_completed_successfully' : 'service_healthy';
      expect(condition).toBe(expected);
    }
  });
});

test('images are the versions Slipway is built and tested with', () => {
  const images = new Set(all.map(([, { image }]) => image));
  expect([...images].toSorted()).toEqual([
    'moby/buildkit:v0.32.2-rootless',
    'postgres:17',
    'registry:3.1.1',
    'slipway:0.1.0',
    'temporalio/admin-tools:1.31.2',
    'temporalio/server:1.31.2',
    'temporalio/ui:2.50.1',
    'tonistiigi/binfmt:qemu-v10.0.4',
    'versity/versitygw:v1.7.0',
  ]);
});

test('one Slipway image has the roles api, worker and migrate', () => {
  const own = all.filter(([, { image }]) => image.startsWith('slipway:'));
  expect(own.map(([name, service]) => [name, service['command']])).toEqual([
    ['migrate', ['migrate']],
    ['api', ['api']],
    ['worker', ['worker']],
  ]);
});

test('Temporal has 512 history shards, which can never be changed', () => {
  expect(services['temporal']?.environment['NUM_HISTORY_SHARDS']).toBe('512');
});

test('builds cannot reach the database, Temporal or the object store', () => {
  const builder = services['buildkitd']?.networks ?? [];
  for (const name of ['postgres', 'temporal', 'temporal-ui', 'object-store', 'api']) {
    expect(services[name]?.networks.filter((network) => builder.includes(network))).toEqual([]);
  }
});

test('the core network has no way out, and Temporal is published on loopback only', () => {
  expect(networks['core']?.internal).toBe(true);
  expect(services['temporal']?.ports).toEqual([]);
  expect(services['temporal-ui']?.ports).toEqual(['127.0.0.1:8088:8080']);
});

test('no secret has a value in the file', () => {
  const secrets = all.flatMap(([, { environment }]) =>
    Object.entries(environment).filter(([name]) => /PASSWORD|SECRET|ACCESS_KEY|_PWD$/.test(name)),
  );
  expect(secrets.length).toBeGreaterThan(0);
  for (const [, value] of secrets) expect(value).toMatch(/^\$\{[A-Z_]+:\?/);
});
