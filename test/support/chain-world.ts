import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { inject, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { buildRuleSchema } from '../../domain/build.ts';
import type { DeliveryChainInput, RunEnd } from '../../domain/chain.ts';
import type { StepName, StepState } from '../../domain/record.ts';
import { replicationRuleSchema } from '../../domain/replicate.ts';
import { noFindings, scanPolicySchema } from '../../domain/scan.ts';
import type { ScanSummary, SeverityCounts } from '../../domain/scan.ts';
import { buildQueue, taskQueues } from '../../domain/task-queues.ts';

// Once per process, before the first worker: state changes of twelve workers a test are noise.
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });

export const digestOf = (letter: string): string => `sha256:${letter.repeat(64)}`;

/** A chain with every node on: two architectures, a blocking scan that holds the tag, one copy, one trigger. */
export function chainInput(change: Partial<DeliveryChainInput> = {}): DeliveryChainInput {
  const rule = buildRuleSchema.parse({
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }],
    architectures: ['linux/amd64', 'linux/arm64'],
  });
  return {
    runId: randomUUID(),
    number: 1,
    attempt: 1,
    cause: 'source_push',
    orderNo: 7,
    repository: {
      id: 'crr-web',
      namespaceId: 'crn-shop',
      namespace: 'shop',
      name: 'web',
      instanceId: 'cri-h',
      instance: 'hangzhou',
      region: 'cn-hangzhou',
    },
    chain: {
      id: 'chi-1',
      name: 'web',
      version: 1,
      concurrency: null,
      scan: scanPolicySchema.parse({
        strategy: 'blocking',
        severity: 'high',
        vulnerabilities: 1,
        retries: 1,
        onBlock: { backUp: true, deleteOriginal: true },
      }),
      isReplicateOn: true,
      isTriggerOn: true,
      replicationRules: [
        {
          id: 'crsr-1',
          definition: replicationRuleSchema.parse({
            name: 'south',
            level: 'repository',
            source: { namespace: 'shop', repository: 'web' },
            destination: { region: 'ap-southeast-1', instance: 'singapore' },
          }),
        },
      ],
      triggers: [{ id: 'crw-1', name: 'deploy', condition: { kind: 'all' } }],
    },
    origin: {
      kind: 'source',
      buildId: 'build-1',
      rule: { ...rule, id: 'crbr-1' },
      source: {
        ref: 'main',
        refType: 'branch',
        commit: 'd4ef3dc3b77a011a5779eec7efdd45c0ffee0000',
        message: 'A change',
        author: 'Ada',
        pushedAt: '2020-10-15T08:25:46Z',
      },
      tags: ['latest'],
      isCached: true,
      buildRegion: null,
      reuse: [],
    },
    timings: { deadlineMs: 60_000, triggerWaitMs: 5_000, triggerLadderScale: 0.0001, retryInitialMs: 10 },
    ...change,
  };
}

export function summaryOf(platform: string, counts: Partial<SeverityCounts> = {}): ScanSummary {
  return {
    platform,
    digest: digestOf('a'),
    unscannable: null,
    counts: { ...noFindings, ...counts },
    fixable: noFindings,
    listedCves: [],
    worstPackages: Object.keys(counts).length > 0 ? ['openssl'] : [],
    worstCves: Object.keys(counts).length > 0 ? ['CVE-2026-1000'] : [],
    engine: { name: 'trivy', version: '0.74.0', dataUpdatedAt: '2026-11-20T00:00:00Z', isSampleData: true },
  };
}

/** Every activity, doing nothing but answering as a healthy one would, each typed from the real thing. */
export function fakeActivities() {
  return {
    startRun: vi.fn<Activities['startRun']>(async () => undefined),
    recordSteps: vi.fn<Activities['recordSteps']>(async () => undefined),
    recordImages: vi.fn<Activities['recordImages']>(async () => undefined),
    endRun: vi.fn<Activities['endRun']>(async () => undefined),
    cloneSource: vi.fn<Activities['cloneSource']>(async () => ({
      contextKey: 'src/1',
      sha256: '1'.repeat(64),
      sizeBytes: 1_000,
      commitTime: '2020-10-15T08:25:46Z',
      defaultBranch: 'main',
    })),
    buildImage: vi.fn<Activities['buildImage']>(async ({ platform }) => ({
      platform,
      digest: digestOf(platform === 'linux/amd64' ? 'a' : 'b'),
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      sizeBytes: 500,
      cachedSteps: 0,
    })),
    resolveImage: vi.fn<Activities['resolveImage']>(async ({ tag }) => ({
      digest: digestOf('c'),
      mediaType: 'application/vnd.oci.image.index.v1+json',
      tags: [tag],
      platforms: [
        {
          platform: 'linux/amd64',
          digest: digestOf('a'),
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          sizeBytes: 500,
        },
      ],
    })),
    assembleIndex: vi.fn<Activities['assembleIndex']>(async () => ({
      digest: digestOf('c'),
      mediaType: 'application/vnd.oci.image.index.v1+json',
    })),
    moveTags: vi.fn<Activities['moveTags']>(async ({ tags }) => ({
      moved: tags.map((tag) => ({ tag, previousDigest: null, sequence: 1 })),
      fenced: [],
    })),
    deleteImage: vi.fn<Activities['deleteImage']>(async () => ({ deletedTags: [], isDigestDeleted: true })),
    scanImage: vi.fn<Activities['scanImage']>(async ({ image }) => summaryOf(image.platform)),
    closeScan: vi.fn<Activities['closeScan']>(async () => ({ scanId: 'scan-1' })),
    backUpImage: vi.fn<Activities['backUpImage']>(async ({ runId }) => ({
      tags: [`latest_blocked_${runId.slice(0, 8)}`],
    })),
    replicateImage: vi.fn<Activities['replicateImage']>(async () => ({
      bytes: 10,
      blobs: { copied: 1, mounted: 0, skipped: 0 },
    })),
    openDeliveries: vi.fn<Activities['openDeliveries']>(async ({ updates }) => ({
      deliveries: updates.map(({ tag }) => ({ id: randomUUID(), triggerId: 'crw-1', tag })),
      untriggered: 0,
    })),
    sendTrigger: vi.fn<Activities['sendTrigger']>(async () => ({
      statusCode: 200,
      isTimeout: false,
      retryAfterMs: null,
      isDelivered: true,
      isGone: false,
    })),
    sendCommitStatus: vi.fn<Activities['sendCommitStatus']>(async () => ({
      isSettled: true,
      statusCode: 201,
      isTimeout: false,
      retryAfterMs: null,
    })),
    setDelivery: vi.fn<Activities['setDelivery']>(async () => undefined),
    reconcileSources: vi.fn<Activities['reconcileSources']>(async () => ({ compared: 0, failed: 0, missed: 0 })),
    readBaseImages: vi.fn<Activities['readBaseImages']>(async () => ({ images: 0, failed: 0, stale: [] })),
    removeExpired: vi.fn<Activities['removeExpired']>(async () => ({
      ...{
        logSegments: 0,
        reports: 0,
        deliveries: 0,
        bodies: 0,
        runs: 0,
        heldRuns: 0,
        scans: 0,
        contexts: 0,
        commitStatuses: 0,
        buildCaches: 0,
      },
    })),
    startAutomaticBuild: vi.fn<Activities['startAutomaticBuild']>(async () => ({ kind: 'started', runId: 'run-1' })),
    applyRuleSchedules: vi.fn<Activities['applyRuleSchedules']>(async () => ({ put: 0, removed: 0 })),
  } satisfies Activities;
}
export type FakeActivities = ReturnType<typeof fakeActivities>;

/** The final state of each step, as the Record heard it. */
export function recordedStates(fakes: FakeActivities): Partial<Record<StepName, StepState>> {
  return Object.fromEntries(
    fakes.recordSteps.mock.calls.flatMap(([{ steps }]) => steps.map(({ name, state }) => [name, state])),
  );
}

/** A failure that no retry mends, as activities throw it. */
export function permanent(code: string, text: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(text, code);
}

/** The Temporal server of the tests, and the namespace of it that no other file uses meanwhile. */
export function testTemporal(): { address: string; namespace: string; bundlePath: string } {
  const { address, namespaces, bundlePath } = inject('temporal');
  const namespace = namespaces[Number(process.env['VITEST_POOL_ID']) - 1];
  if (namespace === undefined) throw new Error('there are more workers than namespaces');
  return { address, namespace, bundlePath };
}

export async function connectClient(): Promise<Client> {
  const { address, namespace } = testTemporal();
  return new Client({ connection: await Connection.connect({ address }), namespace });
}

/**
 * Runs workers for every queue of a chain while `work` goes on, then drains them. The queues are the product's own, so tests of one
 * file take turns; each test has fresh ids.
 */
export async function withWorkers<Result>(
  activities: FakeActivities,
  work: () => Promise<Result>,
  { buildSlots = 100, regions = ['cn-hangzhou'] }: { buildSlots?: number; regions?: readonly string[] } = {},
): Promise<Result> {
  const { address, namespace, bundlePath } = testTemporal();
  const connection = await NativeConnection.connect({ address });
  const queues = [
    ...Object.values(taskQueues),
    ...regions.flatMap((region) => [buildQueue(region, 'linux/amd64'), buildQueue(region, 'linux/arm64')]),
  ];
  const code = readFileSync(bundlePath, 'utf8');
  const workers = await Promise.all(
    queues.map((taskQueue) =>
      Worker.create({
        connection,
        namespace,
        taskQueue,
        activities: { ...activities },
        maxHeartbeatThrottleInterval: '100ms',
        ...(taskQueue.startsWith('slipway-build-') ? { maxConcurrentActivityTaskExecutions: buildSlots } : {}),
        ...(taskQueue === taskQueues.chain ? { workflowBundle: { code } } : {}),
      }),
    ),
  );
  const running = workers.map((worker) => worker.run());
  try {
    return await work();
  } finally {
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
    await connection.close();
  }
}

/** Starts one run and waits for its end. */
export async function runChain(client: Client, input: DeliveryChainInput): Promise<RunEnd> {
  return client.workflow.execute('deliveryChain', {
    args: [input],
    taskQueue: taskQueues.chain,
    workflowId: workflowIdOf(input),
  });
}

export function workflowIdOf(input: DeliveryChainInput): string {
  return `chain/test/${input.runId}`;
}

/** Ends only by cancellation, as a long build or copy does; resolves `started` when it is under way. */
export function endless(started: () => void): () => Promise<never> {
  return async () => {
    started();
    const beat = setInterval(() => Context.current().heartbeat(), 50);
    try {
      return await Context.current().cancelled;
    } finally {
      clearInterval(beat);
    }
  };
}
