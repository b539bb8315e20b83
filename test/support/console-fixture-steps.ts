import { addCounts } from '../../domain/scan.ts';
import type { Step, StepChild } from '../../console/src/api-types.ts';

/** When the made-up Records are looked at. */
const fixtureNowMs = Date.now();

/** A moment before that. */
export function at(secondsAgo: number): string {
  return new Date(fixtureNowMs - secondsAgo * 1_000).toISOString();
}

export const digest = `sha256:${'4bf92f3577b34da6a3ce929d0e0e4736'.repeat(2)}`;
const armDigest = `sha256:${'9d0e0e47364bf92f3577b34da6a3ce92'.repeat(2)}`;

type Timing = { readonly from: number; readonly to: number | null };

export function base(name: Step['name'], state: Step['state'], timing: Timing | null) {
  return {
    name,
    state,
    why: null,
    startedAt: timing === null ? null : at(timing.from),
    endedAt: timing === null || timing.to === null ? null : at(timing.to),
    queuedMs: timing === null ? null : 240,
    attempts: 0,
    reason: null,
    result: null,
    children: [],
  };
}

export function child<Result>(
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

export function skipped(name: Step['name'], why: NonNullable<Step['why']>): Step {
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

export function waiting(name: 'push' | 'scan' | 'replicate' | 'trigger'): Step {
  return { ...skipped(name, 'not_reached'), state: 'waiting', why: null };
}

export function buildDone(build: string, from: number): Step {
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
      child('linux/amd64', 'success', { from, to: from - 31 }, { digest, sizeBytes: 1_842, steps: 9, cachedSteps: 7 }),
      child(
        'linux/arm64',
        'success',
        { from, to: from - 74 },
        { digest: armDigest, sizeBytes: 1_842, steps: 9, cachedSteps: 5 },
      ),
    ],
  };
}

export function pushDone(from: number, isHeld: boolean): Step {
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

export function scanDone(from: number, isDenied: boolean): Step {
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
      counts: addCounts([counts, counts]),
      fixable: isDenied
        ? { critical: 2, high: 7, medium: 18, low: 10, unknown: 0 }
        : { critical: 0, high: 0, medium: 1, low: 3, unknown: 0 },
      rule: isDenied ? 'critical 2 ≥ 1' : null,
      engines: [engine],
      cves: isDenied ? ['CVE-2024-5535', 'CVE-2023-45853'] : [],
      tags: isDenied ? [] : ['v1.4.0-d4ef3d', 'latest'],
      fenced: [],
      backup: isDenied ? ['latest_blocked_0193a5f2'] : [],
      isDeleted: false,
    },
    children: [
      child('linux/amd64', isDenied ? 'denied' : 'success', { from, to: from - 11 }, summary),
      child('linux/arm64', isDenied ? 'denied' : 'success', { from, to: from - 19 }, summary),
    ],
  };
}

export const deniedReason = {
  code: 'scan.denied',
  params: { count: 2, severity: 'critical', limit: 1, packages: 'openssl, zlib1g', platform: 'linux/amd64' },
  text: 'Blocked: 2 findings at or above critical (limit 1) in openssl, zlib1g',
};

export function replicateDone(from: number): Step {
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

export function triggerDone(from: number): Step {
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

export const failedReason = {
  code: 'build.dockerfile_error',
  params: { line: 12 },
  text: 'Failed in build: Dockerfile line 12 RUN npm ci, exit 1',
};
export const canceledReason = { code: 'run.canceled', params: {}, text: 'Canceled by administrator in build' };
