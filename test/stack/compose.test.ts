import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { configVariables, readConfig, readWorkerConfig } from '../../domain/config.ts';
import { composeEnv } from '../../stack/compose-env.ts';
import { rootFolder } from '../../stack/settings.ts';

const composeText = await readFile(join(rootFolder, 'docker-compose.yml'), 'utf8');

const conditionSchema = z.object({
  condition: z.enum(['service_healthy', 'service_completed_successfully']),
});
const serviceSchema = z.looseObject({
  image: z.string(),
  build: z.object({ context: z.string() }).optional(),
  /** null: taken over from .env. */
  environment: z.record(z.string(), z.string().nullable()).default({}),
  depends_on: z.record(z.string(), conditionSchema).default({}),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).optional(),
  restart: z.string(),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  mem_limit: z.string().optional(),
  pids_limit: z.int().optional(),
  volumes: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
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

  test('bounds its processes, if it goes on', () => {
    expect(runsOnce(service) || (service.pids_limit ?? 0) > 0).toBe(true);
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
  for (const name of ['postgres', 'temporal', 'temporal-ui', 'object-store', 'api', 'worker']) {
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

test('a build step, which shares the network of the daemon, finds no port that commands it', () => {
  const socket = 'unix:///run/buildkit/buildkitd.sock';
  expect(services['buildkitd']?.['command']).toContain(socket);
  expect(JSON.stringify(services['buildkitd'])).not.toContain('tcp://');
  expect(services['worker']?.environment['SLIPWAY_BUILDKIT_ADDRESS']).toBe(socket);
  expect(services['worker']?.volumes).toContain('buildkit-socket:/run/buildkit');
});

describe("Slipway's settings", () => {
  /** What cannot be set here, and why. */
  const fixed: Readonly<Record<string, RegExp>> = {
    "the token service is the API's own": /^SLIPWAY_TOKEN_URL$/,
    'the port inside the container; .env says which one is published': /^SLIPWAY_PORT$/,
    'names and regions inside this topology': /^SLIPWAY_(TEMPORAL_NAMESPACE|OBJECT_STORE_(REGION|BUCKET))$/,
    'Temporal is spoken to on the closed network': /^SLIPWAY_TEMPORAL_TLS_/,
    'one worker has all roles': /^SLIPWAY_WORKER_ROLES$/,
    'of daemons that a worker starts itself': /^SLIPWAY_(BUILD_(DIR|IDLE_MS|EGRESS_ALLOW|EGRESS_PORTS)|CNI_DIR)$/,
    'programs stand on the path of the image': /^SLIPWAY_TOOL_/,
  };
  const isFixed = (name: string): boolean => Object.values(fixed).some((pattern) => pattern.test(name));

  test.each(['api', 'worker'] as const)(
    'of the %s come from its image, this file or .env, each of them',
    async (role) => {
      const image = await imageEnvironment();
      const given = { ...image, ...services[role]?.environment };
      const missing = configVariables[role].filter((name) => !(name in given) && !isFixed(name));
      expect(missing).toEqual([]);
      const own = new Set(configVariables.worker);
      const unknown = Object.keys(services[role]?.environment ?? {}).filter((name) => !own.has(name));
      expect(unknown).toEqual([]);
    },
  );

  test('hold as they are when .env gives nothing but what it must', async () => {
    const image = await imageEnvironment();
    const api = { ...image, ...resolved(services['api']?.environment ?? {}) };
    expect(readConfig(api)).toMatchObject({ SLIPWAY_EGRESS_ALLOW: ['external', 'private'], SLIPWAY_EGRESS_HTTP: true });
    const worker = { ...image, ...resolved(services['worker']?.environment ?? {}) };
    expect(readWorkerConfig(worker)).toMatchObject({ SLIPWAY_BUILD_REGIONS: ['cn-hangzhou', 'ap-southeast-1'] });
  });

  test('that may be set are all named in the first .env', () => {
    const passwords = { postgres: '', objectStoreAccessKey: '', objectStoreSecretKey: '', registryHttp: '', git: '' };
    const named = new Set([...composeEnv({ passwords }).matchAll(/^#?([A-Z_]+)=/gm)].map(([, name]) => name));
    const interpolated = [...composeText.matchAll(/(?<!\$)\$\{([A-Z_]+)/g)].map(([, name]) => name);
    const passedOn = ['api', 'worker'].flatMap((role) =>
      Object.entries(services[role]?.environment ?? {}).flatMap(([name, value]) => (value === null ? [name] : [])),
    );
    expect(named).toEqual(new Set([...interpolated, ...passedOn]));
  });

  test('that are secret files are mounted', () => {
    for (const role of ['api', 'worker']) {
      const files = Object.values(services[role]?.environment ?? {}).flatMap((value) =>
        value?.startsWith('/run/secrets/') === true ? [value.slice('/run/secrets/'.length)] : [],
      );
      expect(services[role]?.secrets.toSorted()).toEqual(files.toSorted());
    }
  });
});

/** `ENV` of the one Slipway image. */
async function imageEnvironment(): Promise<Record<string, string>> {
  const dockerfile = await readFile(join(rootFolder, 'Dockerfile'), 'utf8');
  const [, text = ''] = /^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile) ?? [];
  const pairs = text.replaceAll('\\\n', ' ').trim().split(/\s+/);
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

/** As Compose fills it in: defaults, and a value for what has none. */
function resolved(environment: Readonly<Record<string, string | null>>): Record<string, string> {
  const given = Object.entries(environment).flatMap(([name, value]) =>
    value === null ? [] : [[name, value] as const],
  );
  return Object.fromEntries(
    given.map(([name, value]) => [
      name,
      value.replace(/\$\{([A-Z_]+):([-?])([^}]*)\}/g, (_, variable: string, kind: string, text: string) =>
        kind === '-' ? text : variable === 'SLIPWAY_URL' ? 'http://slipway.example:8080' : 'given',
      ),
    ]),
  );
}
