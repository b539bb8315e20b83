import type { Run, RunEvent, RunRecord } from '../../console/src/api-types.ts';

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

/** A newer run holds a tag of the partial one, and it holds one of an older run. */
export function fixtureFence({ id }: Run): RunRecord['tagFence'] {
  if (id !== 'run-partial') return { heldBy: [], keptFrom: [] };
  return {
    heldBy: [{ tag: 'latest', run: { id: 'run-image', number: 36 } }],
    keptFrom: [{ tag: 'v1.4.0-d4ef3d', run: { id: 'run-superseded', number: 34 } }],
  };
}
