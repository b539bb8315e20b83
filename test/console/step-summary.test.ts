import { expect, test } from 'vitest';
import { stepInFocus, stepSummary } from '../../console/src/step-summary.ts';
import { fixtureRuns } from '../support/console-fixture-runs.ts';

function summaries(runId: string): Record<string, string> {
  const run = fixtureRuns().find(({ id }) => id === runId);
  return Object.fromEntries((run?.steps ?? []).map((step) => [step.name, stepSummary(step)]));
}

test('each step of a good run says in one line what it did', () => {
  expect(summaries('run-success')).toEqual({
    build: '2 architectures · 12 of 18 steps cached',
    push: 'sha256:4bf92f3577b3 · tags move after the scan',
    scan: 'Passed · 8 medium, 24 low · 2 tags moved · sample data',
    replicate: '2 destinations · 31.4 MB sent',
    trigger: '1 delivered · 1 not matching',
  });
});

test('a blocked scan gives its reason, and the steps behind it why they did not run', () => {
  expect(summaries('run-denied')).toMatchObject({
    scan: 'Blocked: 2 findings at or above critical (limit 1) in openssl, zlib1g',
    replicate: 'Not reached: the run ended before it',
    trigger: 'Not reached: the run ended before it',
  });
});

test('a step that waits says what for', () => {
  expect(summaries('run-waiting')['replicate']).toBe('singapore does not answer (connection refused); trying again');
});

test('a step that is switched off or has nothing to do says so', () => {
  expect(summaries('run-image')).toMatchObject({
    build: 'Nothing to do for this image',
    trigger: 'The chain has this step switched off',
  });
});

test('a Record opens at what ended badly, else at what runs, else nowhere', () => {
  const focus = Object.fromEntries(fixtureRuns().map(({ id, steps }) => [id, stepInFocus(steps)]));
  expect(focus).toEqual({
    'run-running': 'build',
    'run-success': undefined,
    'run-denied': 'scan',
    'run-failed': 'build',
    'run-waiting': 'replicate',
    'run-canceled': undefined,
    'run-image': undefined,
  });
});
