import { z } from 'zod';
import { defaultTimings } from './chain.ts';
import type { EgressPolicy, EgressServer } from './egress.ts';
import { defaultRegions } from './instance.ts';
import { limits } from './limits.ts';
import { workerRoles } from './task-queues.ts';

const list = (fallback: readonly string[]) =>
  z
    .string()
    .optional()
    .transform((text) =>
      text === undefined || text.trim() === '' ? [...fallback] : text.split(',').map((part) => part.trim()),
    );
const address = z
  .string()
  .min(1)
  .regex(/^[^\s:/]+:\d{1,5}$/, { message: 'must be host:port' });
const egressPorts = (fallback: readonly string[]) =>
  list(fallback).pipe(z.array(z.string().regex(/^(any|\d{1,5})$/, { message: 'must be ports, or any' })));
const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true');

const milliseconds = z.number().min(0);

/** Durations of runs as JSON, such as {"triggerWaitMs": 60000}; what is left out keeps its default. */
const timings = z
  .string()
  .default('{}')
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a JSON object of durations' });
      return z.NEVER;
    }
  })
  .pipe(
    z.strictObject({
      deadlineMs: milliseconds.default(defaultTimings.deadlineMs),
      triggerWaitMs: milliseconds.default(defaultTimings.triggerWaitMs),
      triggerLadderScale: z.number().positive().default(defaultTimings.triggerLadderScale),
      retryInitialMs: milliseconds.default(defaultTimings.retryInitialMs),
    }),
  );

/** The environment of every Slipway process; one schema, so that a wrong or missing variable is told at start, all at once. */
const environmentSchema = z.object({
  /** Address under which people, registries and source hosts reach the API. */
  SLIPWAY_URL: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, '')),
  /**
   * Address of the token service as the registries of managed instances name it, where that is not SLIPWAY_URL. Programs built
   * on Go's registry library (Trivy, crane) refuse a realm whose host is a private or loopback IP address: use a name there.
   */
  SLIPWAY_TOKEN_URL: z
    .url({ protocol: /^https?$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  SLIPWAY_HOST: z.string().default('127.0.0.1'),
  SLIPWAY_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  SLIPWAY_POSTGRES_URL: z.string().regex(/^postgres(ql)?:\/\//, { message: 'must start with postgres://' }),
  SLIPWAY_TEMPORAL_ADDRESS: address,
  SLIPWAY_TEMPORAL_NAMESPACE: z.string().min(1).default('slipway'),
  SLIPWAY_TEMPORAL_UI_URL: z.url().optional(),
  /** PEM files for a Temporal server with TLS: its authority, and a client's certificate and key. */
  SLIPWAY_TEMPORAL_TLS_CA_FILE: z.string().optional(),
  SLIPWAY_TEMPORAL_TLS_CERT_FILE: z.string().optional(),
  SLIPWAY_TEMPORAL_TLS_KEY_FILE: z.string().optional(),
  SLIPWAY_OBJECT_STORE_ENDPOINT: z.url({ protocol: /^https?$/ }),
  SLIPWAY_OBJECT_STORE_REGION: z.string().default('us-east-1'),
  SLIPWAY_OBJECT_STORE_BUCKET: z.string().min(3).default('slipway'),
  SLIPWAY_OBJECT_STORE_ACCESS_KEY: z.string().min(1),
  SLIPWAY_OBJECT_STORE_SECRET_KEY: z.string().min(1),
  /** File with the key that seals secrets, 32 bytes in base64. */
  SLIPWAY_KEY_FILE: z.string().min(1),
  /** File with the ES256 private key (JWK) of the token service. */
  SLIPWAY_TOKEN_KEY_FILE: z.string().min(1),
  /** File with the administrator's bearer token. */
  SLIPWAY_ADMIN_TOKEN_FILE: z.string().min(1),
  /** JSON file of the OAuth applications and GitHub Apps registered with source hosts (docs/sources.md). */
  SLIPWAY_SOURCE_APPS_FILE: z.string().min(1).optional(),
  SLIPWAY_REGIONS: list(defaultRegions),
  /** What outgoing calls may reach: external, private, loopback, CIDR, host globs. */
  SLIPWAY_EGRESS_ALLOW: list(['external']),
  SLIPWAY_EGRESS_PORTS: egressPorts(['443', '8443']),
  SLIPWAY_EGRESS_HTTP: flag,
  /** Networks (CIDR) of the proxies before the API: only theirs is the word of X-Forwarded-For believed. */
  SLIPWAY_TRUSTED_PROXIES: list([]).pipe(z.array(z.union([z.cidrv4(), z.cidrv6()]))),
  /** Builds of one namespace that may wait for a worker; past it starts by hand are refused and pushes wait in the inbox. */
  SLIPWAY_WAITING_BUILDS: z.coerce.number().int().min(1).default(limits.waitingBuildsPerNamespace),
  /** Days after which what has ended is removed: deliveries; logs and reports; Records with all that is theirs. */
  SLIPWAY_DELIVERIES_KEPT_DAYS: z.coerce.number().int().min(1).default(limits.deliveriesKeptDays),
  SLIPWAY_LOGS_KEPT_DAYS: z.coerce.number().int().min(1).default(limits.logsKeptDays),
  SLIPWAY_RECORDS_KEPT_DAYS: z.coerce.number().int().min(1).default(limits.recordsKeptDays),
  SLIPWAY_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** Durations of the runs that this process starts. */
  SLIPWAY_TIMINGS: timings,
  /** Folder of the console's built files. */
  SLIPWAY_CONSOLE_DIR: z.string().optional(),
});

const workerSchema = environmentSchema
  .extend({
    SLIPWAY_WORKER_ROLES: list(workerRoles).pipe(z.array(z.enum(workerRoles)).min(1)),
    /** Regions whose builds this worker takes; at least one with the role `build`. */
    SLIPWAY_BUILD_REGIONS: list([]),
    /**
     * What keeps builds apart (docs/isolation.md): `namespace`, daemons of this worker's own, or `shared`, the one at
     * SLIPWAY_BUILDKIT_ADDRESS.
     */
    SLIPWAY_BUILD_ISOLATION: z.enum(['namespace', 'shared']).default('shared'),
    SLIPWAY_BUILDKIT_ADDRESS: z.string().min(1).default('unix:///run/buildkit/buildkitd.sock'),
    /** Folder of the daemons' caches, this worker's alone; with the isolation `namespace`. */
    SLIPWAY_BUILD_DIR: z.string().min(1).default('/var/lib/slipway/buildkit'),
    /** Builds that this worker runs at once, whatever their architectures; further ones wait for it or another worker. */
    SLIPWAY_BUILD_SLOTS: z.coerce.number().int().min(1).max(100).default(10),
    /** After this time without a build a daemon is stopped. */
    SLIPWAY_BUILD_IDLE_MS: z.coerce.number().int().min(0).default(300_000),
    /** What the steps of a build may reach, in the words of SLIPWAY_EGRESS_ALLOW; package archives are often plain http. */
    SLIPWAY_BUILD_EGRESS_ALLOW: list(['external']),
    SLIPWAY_BUILD_EGRESS_PORTS: egressPorts(['80', '443', '8443']),
    /** Registry repository of a Trivy database, such as an own mirror; without it the cache folder's database is used as it is. */
    SLIPWAY_TRIVY_DB_REPOSITORY: z.string().min(1).optional(),
    SLIPWAY_TRIVY_CACHE_DIR: z.string().min(1),
    /** The workflows as one file, made by `node worker/bundle.ts`; without it the worker makes its own at start. */
    SLIPWAY_WORKFLOW_BUNDLE: z.string().optional(),
    /** Folder for checkouts and other short-lived files; swept at start. */
    SLIPWAY_WORK_DIR: z.string().min(1),
    SLIPWAY_TOOL_TRIVY: z.string().optional(),
    SLIPWAY_TOOL_BUILDCTL: z.string().optional(),
    SLIPWAY_TOOL_BUILDKITD: z.string().optional(),
    /** Folder of the CNI plug-ins that give steps their networks. */
    SLIPWAY_CNI_DIR: z.string().min(1).default('/usr/lib/cni'),
  })
  .superRefine(({ SLIPWAY_WORKER_ROLES: roles, SLIPWAY_BUILD_REGIONS: regions }, context) => {
    if (!roles.includes('build') || regions.length > 0) return;
    const message =
      'a worker that builds needs the regions whose builds it takes; leave "build" out of SLIPWAY_WORKER_ROLES for one that does not';
    context.addIssue({ code: 'custom', path: ['SLIPWAY_BUILD_REGIONS'], message });
  });

export type Config = Readonly<z.infer<typeof environmentSchema>>;
export type WorkerConfig = Readonly<z.infer<typeof workerSchema>>;

/** Configuration that does not hold: every problem, one a line. */
export class ConfigInvalid extends Error {
  constructor(problems: readonly string[]) {
    super(`The configuration does not hold:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigInvalid';
  }
}

/** Every variable that a role reads. */
export const configVariables = {
  api: Object.keys(environmentSchema.shape),
  worker: Object.keys(workerSchema.shape),
} as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the configuration of the API. Throws `ConfigInvalid` with every problem. */
export function readConfig(env: Environment): Config {
  return read(environmentSchema, env);
}

/** Reads the configuration of a worker. Throws `ConfigInvalid` with every problem. */
export function readWorkerConfig(env: Environment): WorkerConfig {
  return read(workerSchema, env);
}

function read<Schema extends z.ZodType>(schema: Schema, env: Environment): z.output<Schema> {
  // What is set to nothing is not set: `NAME=` in a file of settings.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new ConfigInvalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
}

/** Where outgoing calls may go; our own PostgreSQL, Temporal and object store never. */
export function egressPolicyOf(config: Config): EgressPolicy {
  return {
    allow: config.SLIPWAY_EGRESS_ALLOW,
    denied: [
      serverOf(config.SLIPWAY_POSTGRES_URL, 5432),
      serverOf(`tcp://${config.SLIPWAY_TEMPORAL_ADDRESS}`, 7233),
      serverOf(config.SLIPWAY_OBJECT_STORE_ENDPOINT, 443),
    ],
    ports: portsOf(config.SLIPWAY_EGRESS_PORTS),
    isHttpAllowed: config.SLIPWAY_EGRESS_HTTP,
  };
}

/** Where builds may go: what others wrote runs in them, so they get rules of their own. */
export function buildEgressPolicyOf(config: WorkerConfig): EgressPolicy {
  return {
    allow: config.SLIPWAY_BUILD_EGRESS_ALLOW,
    denied: egressPolicyOf(config).denied,
    ports: portsOf(config.SLIPWAY_BUILD_EGRESS_PORTS),
    isHttpAllowed: true,
  };
}

function portsOf(ports: readonly string[]): EgressPolicy['ports'] {
  return ports.includes('any') ? 'any' : ports.map(Number);
}

function serverOf(url: string, defaultPort: number): EgressServer {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: port === '' ? defaultPort : Number(port) };
}
