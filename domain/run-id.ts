import type { RunCause } from './record.ts';

/** Workflow ids, all of them; at most 255 characters. Outside ids are digested by the caller (`outsideId`) when long or odd. */
export const workflowIds = {
  /** A run started by a delivery of a source host: the same delivery and rule always give the same id. */
  runOfDelivery: ({
    chainId,
    hookId,
    deliveryId,
    ruleId,
  }: {
    chainId: string | null;
    hookId: string;
    deliveryId: string;
    ruleId: string;
  }): string => `chain/${chainId ?? 'none'}/hook/${hookId}/${deliveryId}/${ruleId}`,
  run: ({ chainId, cause, runId }: { chainId: string | null; cause: RunCause; runId: string }): string =>
    `chain/${chainId ?? 'none'}/${cause}/${runId}`,
  /** A build outside a chain. */
  build: (buildId: string): string => `build/${buildId}`,
  /** What is said of one commit at its source host; newer changes go to the workflow that runs. */
  commitStatus: (statusId: string): string => `commit-status/${statusId}`,
  /** One message to one target; `resend` counts from 1. */
  delivery: (deliveryId: string, resend = 0): string =>
    resend === 0 ? `trigger/${deliveryId}` : `trigger/${deliveryId}/r${resend}`,
  /** One occurrence of a build rule's schedule; the engine adds the time. */
  scheduledBuild: (ruleId: string): string => `scheduled-build/${ruleId}`,
  /** One round of a recurring work of Slipway's own; the engine adds the time. */
  recurring: (name: string): string => `recurring/${name}`,
} as const;

/** Ids of the engine's schedules. */
export const scheduleIds = {
  rulePrefix: 'build-rule/',
  ofRule: (ruleId: string): string => `build-rule/${ruleId}`,
} as const;

/** Whether an outside id can stand in a workflow id as it is. */
export function isPlainOutsideId(id: string): boolean {
  return /^[A-Za-z0-9._:-]{1,80}$/.test(id);
}
