import type { BuildChild, Run } from '../../console/src/api-types.ts';
import {
  base,
  buildDone,
  child,
  canceledReason,
  deniedReason,
  failedReason,
  digest,
  pushDone,
  replicateDone,
  scanDone,
  skipped,
  triggerDone,
  waiting,
} from './console-fixture-steps.ts';
import { images, run, source } from './console-fixture-run.ts';

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
              child(
                'linux/amd64',
                'success',
                { from: 46, to: 15 },
                { digest, sizeBytes: 1_842, steps: 9, cachedSteps: 7 },
              ),
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
    partialRun(),
    {
      ...run({
        id: 'run-superseded',
        number: 34,
        from: 190_000,
        to: 189_990,
        steps: [
          { ...base('build', 'canceled', { from: 190_000, to: 189_990 }), name: 'build' },
          ...(['push', 'scan', 'replicate', 'trigger'] as const).map((name) => skipped(name, 'not_reached')),
        ],
      }),
      status: 'canceled',
      result: 'canceled',
      reason: { code: 'superseded', params: { number: 35 }, text: 'Superseded by #35' },
      supersededBy: { id: 'run-partial', number: 35 },
    },
    {
      ...run({
        id: 'run-queued',
        number: 33,
        from: 30,
        to: null,
        steps: [
          { ...waiting('push'), name: 'build', result: null, children: [] },
          ...(['push', 'scan', 'replicate', 'trigger'] as const).map(waiting),
        ],
      }),
      status: 'queued',
      startedAt: null,
      queue: { place: 3, of: 12 },
      isLate: true,
      cause: 'catch_up',
    },
  ];
}

/** One architecture of two failed, and the rule lets the other go on; an older run was superseded by it. */
function partialRun(): Run {
  const build = buildDone('build-run-partial', 185_000);
  const [first, second] = build.name === 'build' ? build.children : [];
  if (build.name !== 'build' || first === undefined || second === undefined)
    throw new Error('A build has two children.');
  return {
    ...run({
      id: 'run-partial',
      number: 35,
      from: 185_000,
      to: 184_900,
      steps: [
        {
          ...build,
          result: { build: 'build-run-partial', failed: [{ platform: 'linux/arm64' }] },
          children: [first, { ...second, state: 'failed', result: null, reason: failedReason }],
        },
        pushDone(184_920, false),
        scanDone(184_918, false),
        skipped('replicate', 'disabled'),
        skipped('trigger', 'disabled'),
      ],
    }),
    result: 'success',
    images: images.map((image) => ({ ...image, platforms: ['linux/amd64'] })),
    reason: { code: 'run.success', params: {}, text: 'Succeeded in 1 m 40 s: 2 tags; 1 architecture failed' },
    supersedes: { id: 'run-superseded', number: 34 },
  };
}
