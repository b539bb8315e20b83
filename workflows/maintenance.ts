import { applyRuleSchedules, reconcileSources } from './activities.ts';

/** Every minute: the schedules of rules become what the rules say, and new bindings get the base their refs are compared with. */
export async function maintenance(): Promise<void> {
  const work = [applyRuleSchedules(), reconcileSources({ startedAtMs: Date.now(), isNew: true, graceMs: 0 })];
  const failed = (await Promise.allSettled<unknown>(work)).find((done) => done.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
