import type { BuildChild, Run, RunEvent, Step } from '../../console/src/api-types.ts';
import {
  at,
  base,
  buildDone,
  child,
  deniedReason,
  digest,
  pushDone,
  replicateDone,
  scanDone,
  skipped,
  triggerDone,
  waiting,
} from './console-fixture-steps.ts';

const commit = 'd4ef3dc3b77a011a5779eec7efdd45a8c0b2f6e1';
const source: NonNullable<Run['source']> = {
  ref: 'main',
  refType: 'branch',
  commit,
  message: 'Serve the catalogue from the edge cache\n\nMisses go to the origin once.',
  author: 'Lin Xia <lin@example.test>',
};

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
    chain: { id: 'chi-web', name: 'web', version: 3, currentVersion: 4 },
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
    tags: ['v1.4.0-d4ef3d', 'latest'],
    version: 7,
    cancelRequestedBy: null,
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
  return all.map((event, index) => ({ id: String(index + 1), ...event }));
}
