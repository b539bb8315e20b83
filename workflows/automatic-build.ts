import { workflowInfo } from '@temporalio/workflow';
import type { AutomaticBuildResult } from '../activities/automatic-build.ts';
import { startScheduledBuild } from './activities.ts';

/** One occurrence of a build rule's schedule (docs/product.md, section 7, "Started by"). */
export function scheduledBuild({ ruleId }: { ruleId: string }): Promise<AutomaticBuildResult> {
  const sinceMs = workflowInfo().startTime.getTime();
  return startScheduledBuild({ ruleId, cause: 'schedule', ref: null, sinceMs });
}
