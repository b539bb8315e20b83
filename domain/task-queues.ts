import type { Architecture } from './build.ts';

/** Task queues, all of them; one worker role each. */
export const taskQueues = {
  chain: 'slipway-chain',
  control: 'slipway-control',
  registry: 'slipway-registry',
  source: 'slipway-source',
  scan: 'slipway-scan',
  replicate: 'slipway-replicate',
  trigger: 'slipway-trigger',
} as const;

/** The queue of builds of one architecture in one region: `slipway-build-hangzhou-linux-arm-v7`. */
export function buildQueue(region: string, architecture: Architecture): string {
  return `slipway-build-${region}-${architecture.replaceAll('/', '-')}`;
}

/** A worker that builds says so this often, and counts as gone when it was silent for so long. */
export const buildWorkerBeatMs = 10_000;
export const buildWorkerLostMs = 45_000;

/** What a worker process may do; `build` takes the queues of its own region and daemon. */
export const workerRoles = ['chain', 'control', 'registry', 'source', 'build', 'scan', 'replicate', 'trigger'] as const;
export type WorkerRole = (typeof workerRoles)[number];

/** How many activities of a role run at once in one process; builds are counted by SLIPWAY_BUILD_SLOTS. */
export const roleSlots: Readonly<Record<Exclude<WorkerRole, 'chain' | 'build'>, number>> = {
  control: 50,
  registry: 20,
  source: 4,
  scan: 2,
  replicate: 4,
  trigger: 50,
};
