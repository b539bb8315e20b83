import type {
  BuildChild,
  Delivery,
  LogLine,
  Run,
  RunEvent,
  ScanFinding,
  Step,
  StepChild,
} from '../../console/src/api-types.ts';
import type { Severity } from '../../domain/scan.ts';

/** The clock of the made-up Records; a running one is told relative to it. */
export const fixtureNowMs = Date.parse('2026-11-21T13:40:00.000Z');

export function at(secondsAgo: number, now = fixtureNowMs): string {
  return new Date(now - secondsAgo * 1_000).toISOString();
}

const digest = `sha256:${'4bf92f3577b34da6a3ce929d0e0e4736'.repeat(2)}`;
const armDigest = `sha256:${'9d0e0e47364bf92f3577b34da6a3ce92'.repeat(2)}`;

const commit = 'd4ef3dc3b77a011a5779eec7efdd45a8c0b2f6e1';
const source: NonNullable<Run['source']> = {
  ref: 'main',
  refType: 'branch',
  commit,
  message: 'Serve the catalogue from the edge cache\n\nMisses go to the origin once.',
  author: 'Lin Xia <lin@example.test>',
};

type Timing = { readonly from: number; readonly to: number | null };

function base(name: Step['name'], state: Step['state'], timing: Timing | null) {
  return {
    name,
    state,
    why: null,
    startedAt: timing === null ? null : at(timing.from),
    endedAt: timing === null || timing.to === null ? null : at(timing.to),
    queuedMs: timing === null ? null : 240,
    attempts: timing === null ? 0 : 1,
    reason: null,
    result: null,
    children: [],
  };
}

function child<Result>(
  key: string,
  state: StepChild['state'],
  timing: Timing,
  result: Result | null,
): StepChild<Result> {
  return {
    key,
    state,
    startedAt: at(timing.from),
    endedAt: timing.to === null ? null : at(timing.to),
    reason: null,
    result,
  };
}

function skipped(name: Step['name'], why: NonNullable<Step['why']>): Step {
  const step = { ...base(name, 'skipped', null), why };
  switch (name) {
    case 'build':
      return { ...step, name };
    case 'push':
      return { ...step, name };
    case 'scan':
      return { ...step, name };
    case 'replicate':
      return { ...step, name };
    case 'trigger':
      return { ...step, name };
  }
}

function waiting(name: 'push' | 'scan' | 'replicate' | 'trigger'): Step {
  return { ...skipped(name, 'not_reached'), state: 'waiting', why: null };
}

function buildDone(build: string, from: number): Step {
  return {
    ...base('build', 'success', { from, to: from - 74 }),
    name: 'build',
    result: {
      build,
      tags: ['v1.4.0-d4ef3d', 'latest'],
      platforms: [
        { platform: 'linux/amd64', digest },
        { platform: 'linux/arm64', digest: armDigest },
      ],
    },
    children: [
      child('linux/amd64', 'success', { from, to: from - 31 }, { digest, sizeBytes: 1_842, cachedSteps: 9 }),
      child('linux/arm64', 'success', { from, to: from - 74 }, { digest: armDigest, sizeBytes: 1_842, cachedSteps: 5 }),
    ],
  };
}

function pushDone(from: number, isHeld: boolean): Step {
  return {
    ...base('push', 'success', { from, to: from - 1 }),
    name: 'push',
    result: {
      digest,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      tags: isHeld ? [] : ['v1.4.0-d4ef3d', 'latest'],
      isHeld,
      fenced: [],
    },
  };
}

const engine = { name: 'trivy', version: '0.74.0', dataUpdatedAt: at(9 * 3_600), isSampleData: true };

function scanDone(from: number, isDenied: boolean): Step {
  const counts = isDenied
    ? { critical: 2, high: 9, medium: 31, low: 44, unknown: 1 }
    : { critical: 0, high: 0, medium: 4, low: 12, unknown: 0 };
  const summary = { counts, unscannable: null };
  return {
    ...base('scan', isDenied ? 'denied' : 'success', { from, to: from - 19 }),
    name: 'scan',
    reason: isDenied ? deniedReason : null,
    result: {
      scan: isDenied ? 'scan-denied' : 'scan-passed',
      verdict: isDenied ? 'denied' : 'passed',
      counts,
      fixable: isDenied
        ? { critical: 2, high: 7, medium: 18, low: 10, unknown: 0 }
        : { critical: 0, high: 0, medium: 1, low: 3, unknown: 0 },
      rule: isDenied ? 'critical 2 ≥ 1' : null,
      engines: [engine],
      cves: isDenied ? ['CVE-2024-5535', 'CVE-2023-45853'] : [],
      backup: isDenied ? ['latest_blocked_0193a5f2'] : [],
      isDeleted: false,
    },
    children: [
      child('linux/amd64', isDenied ? 'denied' : 'success', { from, to: from - 11 }, summary),
      child('linux/arm64', isDenied ? 'denied' : 'success', { from, to: from - 19 }, summary),
    ],
  };
}

const deniedReason = {
  code: 'scan.denied',
  params: { count: 2, severity: 'critical', limit: 1, packages: 'openssl, zlib1g', platform: 'linux/amd64' },
  text: 'Blocked: 2 findings at or above critical (limit 1) in openssl, zlib1g',
};

function replicateDone(from: number): Step {
  return {
    ...base('replicate', 'success', { from, to: from - 8 }),
    name: 'replicate',
    result: { tasks: 2, bytes: 31_442_118, blobs: { copied: 14, mounted: 3, skipped: 7 } },
    children: [
      child(
        'singapore/shop/web:v1.4.0-d4ef3d',
        'success',
        { from, to: from - 7 },
        { task: 'rst-1', bytes: 31_442_118, blobs: { copied: 14, mounted: 3, skipped: 0 }, verifiedAt: at(from - 7) },
      ),
      child(
        'singapore/shop/web:latest',
        'success',
        { from, to: from - 8 },
        { task: 'rst-2', bytes: 0, blobs: { copied: 0, mounted: 0, skipped: 7 }, verifiedAt: at(from - 8) },
      ),
    ],
  };
}

function triggerDone(from: number): Step {
  const deliveries = [
    { id: 'delivery-1', tag: 'v1.4.0-d4ef3d', status: 'delivered' as const },
    { id: 'delivery-2', tag: 'latest', status: 'untriggered' as const },
  ];
  return {
    ...base('trigger', 'success', { from, to: from - 6 }),
    name: 'trigger',
    result: { deliveries: deliveries.map((delivery) => ({ ...delivery, trigger: 'crw-1' })), untriggered: 1 },
    children: [child('crw-1', 'success', { from, to: from - 6 }, { name: 'deploy', deliveries })],
  };
}

interface RunParts {
  readonly id: string;
  readonly number: number;
  readonly steps: readonly Step[];
  readonly from: number;
  readonly to: number | null;
}

function run({ id, number, steps, from, to }: RunParts): Run {
  return {
    id,
    number,
    status: to === null ? 'running' : 'complete',
    result: null,
    reason: null,
    chain: { id: 'chi-web', name: 'web', version: 3 },
    repository: { id: 'crr-web', namespace: 'shop', name: 'web', instance: 'hangzhou' },
    cause: 'source_push',
    actor: 'lin-xia',
    source,
    images: [],
    steps,
    queuedAt: at(from + 1),
    startedAt: at(from),
    endedAt: to === null ? null : at(to),
    attempt: 1,
    build: `build-${id}`,
    temporal: {
      workflowId: `chain/chi-web/hook/h1/${id}/crbr-1`,
      runId: null,
      url: 'http://127.0.0.1:8233/namespaces/slipway',
    },
  };
}

const images = ['v1.4.0-d4ef3d', 'latest'].map((tag) => ({ tag, digest, platforms: ['linux/amd64', 'linux/arm64'] }));

/** One Record of each kind a reader meets: running, success, blocked, failed, waiting for a registry, canceled, from an image. */
export function fixtureRuns(): Run[] {
  return [
    {
      ...run({
        id: 'run-running',
        number: 42,
        from: 47,
        to: null,
        steps: [
          {
            ...base('build', 'running', { from: 46, to: null }),
            name: 'build',
            result: { build: 'build-run-running' },
            children: [
              child('linux/amd64', 'success', { from: 46, to: 15 }, { digest, sizeBytes: 1_842, cachedSteps: 9 }),
              child<BuildChild>('linux/arm64', 'running', { from: 46, to: null }, null),
            ],
          },
          waiting('push'),
          waiting('scan'),
          waiting('replicate'),
          waiting('trigger'),
        ],
      }),
    },
    {
      ...run({
        id: 'run-success',
        number: 41,
        from: 1_200,
        to: 1_088,
        steps: [
          buildDone('build-run-success', 1_199),
          pushDone(1_125, true),
          scanDone(1_123, false),
          replicateDone(1_103),
          triggerDone(1_095),
        ],
      }),
      result: 'success',
      images,
      reason: { code: 'run.success', params: {}, text: 'Succeeded in 1 m 52 s: 2 tags, 2 instances, 1 trigger' },
    },
    {
      ...run({
        id: 'run-denied',
        number: 40,
        from: 4_300,
        to: 4_203,
        steps: [
          buildDone('build-run-denied', 4_299),
          pushDone(4_225, true),
          scanDone(4_223, true),
          skipped('replicate', 'not_reached'),
          skipped('trigger', 'not_reached'),
        ],
      }),
      result: 'denied',
      source: {
        ...source,
        ref: 'base-image',
        commit: 'a91c02f3b77a011a5779eec7efdd45a8c0b2f6e1',
        message: 'Move to bookworm-unpatched',
      },
      reason: deniedReason,
    },
    {
      ...run({
        id: 'run-failed',
        number: 39,
        from: 9_100,
        to: 9_062,
        steps: [
          {
            ...base('build', 'failed', { from: 9_099, to: 9_062 }),
            name: 'build',
            reason: failedReason,
            result: { build: 'build-run-failed' },
            children: [{ ...child('linux/amd64', 'failed', { from: 9_098, to: 9_062 }, null), reason: failedReason }],
          },
          skipped('push', 'not_reached'),
          skipped('scan', 'not_reached'),
          skipped('replicate', 'not_reached'),
          skipped('trigger', 'not_reached'),
        ],
      }),
      result: 'failed',
      source: {
        ...source,
        ref: 'feature/<img src=x onerror=window.__xss=1>',
        message: '<script>window.__xss=1</script> try the new bundler',
      },
      actor: '<b>mallory</b>',
      reason: failedReason,
    },
    {
      ...run({
        id: 'run-waiting',
        number: 38,
        from: 95,
        to: null,
        steps: [
          buildDone('build-run-waiting', 94),
          pushDone(20, true),
          scanDone(19, false),
          {
            ...base('replicate', 'running', { from: 12, to: null }),
            name: 'replicate',
            attempts: 3,
            children: [
              {
                ...child('singapore/shop/web:latest', 'running', { from: 12, to: null }, null),
                reason: {
                  code: 'replication.network_error',
                  params: {},
                  text: 'singapore does not answer (connection refused); trying again',
                },
              },
            ],
          },
          waiting('trigger'),
        ],
      }),
    },
    {
      ...run({
        id: 'run-canceled',
        number: 37,
        from: 90_000,
        to: 89_941,
        steps: [
          { ...base('build', 'canceled', { from: 89_999, to: 89_941 }), name: 'build', reason: canceledReason },
          skipped('push', 'not_reached'),
          skipped('scan', 'not_reached'),
          skipped('replicate', 'not_reached'),
          skipped('trigger', 'disabled'),
        ],
      }),
      status: 'canceled',
      result: 'canceled',
      cause: 'manual',
      actor: 'administrator',
      reason: canceledReason,
    },
    {
      ...run({
        id: 'run-image',
        number: 36,
        from: 180_000,
        to: 179_960,
        steps: [
          skipped('build', 'not_applicable'),
          pushDone(180_000, false),
          scanDone(179_998, false),
          replicateDone(179_979),
          skipped('trigger', 'disabled'),
        ],
      }),
      result: 'success',
      source: null,
      images,
      build: null,
      cause: 'manual',
      actor: 'administrator',
      reason: { code: 'run.success', params: {}, text: 'Succeeded in 40 s: 2 tags, 1 instance' },
    },
  ];
}

const failedReason = {
  code: 'build.dockerfile_error',
  params: { line: 12 },
  text: 'Failed in build: Dockerfile line 12 RUN npm ci, exit 1',
};
const canceledReason = { code: 'run.canceled', params: {}, text: 'Canceled by administrator in build' };

/** The trail of a run: its start, then each step's states. */
export function fixtureEvents(run: Run): RunEvent[] {
  const steps = run.steps.flatMap((step) => [
    ...(step.startedAt === null ? [] : [{ type: 'step.running', at: step.startedAt, data: { step: step.name } }]),
    ...(step.endedAt === null
      ? []
      : [{ type: `step.${step.state}`, at: step.endedAt, data: { step: step.name, reason: step.reason } }]),
  ]);
  const end =
    run.endedAt === null
      ? []
      : [{ type: `run.${run.result ?? 'failed'}`, at: run.endedAt, data: { reason: run.reason } }];
  const all = [
    { type: 'run.queued', at: run.queuedAt, data: null },
    { type: 'run.started', at: run.startedAt ?? run.queuedAt, data: null },
    ...steps,
    ...end,
  ];
  return all.map((event, index) => ({ id: index + 1, ...event }));
}

const buildOutput = [
  '#1 [internal] load build definition from Dockerfile',
  '#1 transferring dockerfile: 412B done',
  '#1 DONE 0.0s',
  '#2 [internal] load metadata for docker.io/library/debian:bookworm-slim',
  '#2 DONE 0.1s',
  '#4 [1/6] FROM docker.io/library/debian:bookworm-slim@sha256:4bf92f3577b34da6a3ce929d0e0e4736',
  '#4 \u001B[32mCACHED\u001B[0m',
  '#5 [2/6] RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates',
  '#5 0.412 Get:1 https://deb.example.test/debian bookworm InRelease [151 kB]',
  '#5 1.870 \u001B[33mwarning:\u001B[0m no database found, reading all',
  '#6 [3/6] COPY package.json package-lock.json ./',
  '#7 [4/6] RUN npm ci --omit=dev',
  '#7 8.112 added 214 packages in 7s',
  '#8 [5/6] COPY <<EOF /etc/app.conf',
  '#9 exporting to image',
  '#9 pushing layers 1.2s done',
];

/** The log of a build, `lines` long, both architectures in one numbering. The failed one ends at its error. */
export function fixtureLog(build: string, lines: number): LogLine[] {
  const isFailed = build === 'build-run-failed';
  return Array.from({ length: lines }, (_, index) => {
    const isLast = isFailed && index === lines - 1;
    return {
      line: index + 1,
      time: at(1_199 - index / 8),
      stage: index < 3 ? 'clone' : 'build',
      platform: isFailed || index % 3 !== 2 ? 'linux/amd64' : 'linux/arm64',
      text: isLast
        ? '\u001B[31mERROR\u001B[0m: failed to solve: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1 <script>window.__xss=1</script>'
        : (buildOutput[index % buildOutput.length] ?? ''),
    };
  });
}

const packages = [
  'openssl',
  'zlib1g',
  'libc6',
  'libgnutls30',
  'perl-base',
  'tar',
  'libsystemd0',
  'util-linux',
  'libtinfo6',
  'bash',
];

/** Findings of a scan for two architectures; one title tries to be HTML. */
export function fixtureFindings(scan: string): ScanFinding[] {
  const severities: Severity[] =
    scan === 'scan-denied'
      ? [
          ...times('critical', 2),
          ...times('high', 9),
          ...times('medium', 31),
          ...times('low', 44),
          ...times('unknown', 1),
        ]
      : [...times('medium', 4), ...times('low', 12)];
  return ['linux/amd64', 'linux/arm64'].flatMap((platform) =>
    severities.map((severity, index) => ({
      platform,
      cve: `CVE-${2_019 + (index % 6)}-${String(10_245 + index * 317)}`,
      severity,
      package: packages[index % packages.length] ?? 'bash',
      installedVersion: `3.0.${index % 14}-1~deb12u1`,
      fixedVersion: index % 3 === 2 ? null : `3.0.${(index % 14) + 1}-1~deb12u2`,
      kind: 'os' as const,
      layer: null,
      engine: 'trivy',
      title:
        index === 0
          ? 'SSL_select_next_proto buffer overread <img src=x onerror=window.__xss=1>'
          : `Out-of-bounds read when parsing crafted input, case ${index}`,
      url: index === 1 ? 'javascript:window.__xss=1' : `https://security-tracker.debian.org/tracker/CVE-${index}`,
    })),
  );
}

function times(value: Severity, count: number): Severity[] {
  return Array.from({ length: count }, () => value);
}

/** A message that was refused once and then taken, or one that matched no condition. */
export function fixtureDelivery(id: string): Delivery {
  if (id === 'delivery-2') {
    return {
      id,
      trigger: 'crw-1',
      status: 'untriggered',
      webhookId: 'msg_2',
      event: 'image.updated',
      reason: { code: 'trigger.not_matching', params: { tag: 'latest' }, text: 'The tag latest does not match v.*' },
      attempts: [],
      nextAttemptAt: null,
    };
  }
  const requestHeaders = {
    'content-type': 'application/json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': '1795268305',
    'webhook-signature': 'v1,…',
  };
  const requestBody = JSON.stringify({
    type: 'image.updated',
    timestamp: at(1_095),
    data: { repository: 'web', tag: 'v1.4.0-d4ef3d', digest },
  });
  const attempt = {
    requestHeaders,
    requestBody,
    responseHeaders: { 'content-type': 'application/json' },
    errorClass: null,
  };
  return {
    id,
    trigger: 'crw-1',
    status: 'delivered',
    webhookId: 'msg_1',
    event: 'image.updated',
    reason: null,
    attempts: [
      {
        ...attempt,
        number: 1,
        at: at(1_094),
        durationMs: 412,
        statusCode: 503,
        responseBody: '{"error":"warming up"}',
      },
      { ...attempt, number: 2, at: at(1_089), durationMs: 38, statusCode: 200, responseBody: '{"ok":true}' },
    ],
    nextAttemptAt: null,
  };
}
