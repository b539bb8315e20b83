import { expect, test } from 'vitest';
import { ApiProblem } from '../../console/src/api-problem.ts';
import { wordEvent, wordTrail } from '../../console/src/run-trail.ts';
import { wordProblem, wordReason } from '../../console/src/words.ts';

test('a problem is told with its detail and the id to quote', () => {
  const problem = {
    status: 404,
    code: 'run.not_found',
    title: 'Not found',
    detail: 'There is no run "x".',
    requestId: 'req-1',
  };
  expect(wordProblem(new ApiProblem(problem))).toEqual({
    title: 'This could not be loaded',
    detail: 'There is no run "x".',
    requestId: 'req-1',
  });
});

test('a missing right is named', () => {
  const problem = { status: 403, detail: 'You may not cancel.', requiredAction: 'cr:CancelChainInstance' };
  expect(wordProblem(new ApiProblem(problem)).detail).toBe(
    'You may not cancel. The right cr:CancelChainInstance is missing.',
  );
});

test('no answer, and an answer without a reason, still say what to do or what came', () => {
  expect(wordProblem(new ApiProblem({ status: 0 })).detail).toMatch(/could not be reached/);
  expect(wordProblem(new ApiProblem({ status: 502 })).detail).toBe(
    'The server answered 502 and gave no further reason.',
  );
});

test('a reason is its sentence, and nothing without one', () => {
  expect(wordReason({ code: 'run.success', params: {}, text: 'Succeeded in 3 m 12 s' })).toBe('Succeeded in 3 m 12 s');
  expect(wordReason(null)).toBe('');
});

test('the trail tells what happened and why; an event it does not know is shown by its type', () => {
  const at = '2026-11-21T13:40:00.000Z';
  const reason = { code: 'scan.denied', params: {}, text: 'Blocked: 2 findings' };
  expect(wordEvent({ id: '1', at, type: 'step.denied', data: { step: 'scan', reason } })).toEqual({
    what: 'Scan: Blocked',
    detail: 'Blocked: 2 findings',
  });
  expect(
    wordEvent({ id: '2', at, type: 'child.running', data: { step: 'build', key: 'linux/arm64', reason: null } }),
  ).toEqual({
    what: 'Build linux/arm64: Running',
    detail: '',
  });
  expect(wordEvent({ id: '3', at, type: 'run.success', data: { reason: null } }).what).toBe('Run succeeded');
  expect(wordEvent({ id: '4', at, type: 'tag.fenced', data: 'x' }).what).toBe('tag.fenced');
  expect(wordEvent({ id: '5', at, type: 'step.constructor', data: { step: 'toString' } }).what).toBe(
    'step.constructor',
  );
});

test('the trail says a sentence once, however many events carry it', () => {
  const at = '2026-11-21T13:40:00.000Z';
  const reason = { code: 'build.step_failed', params: {}, text: 'npm ci ended with 1' };
  const events = [
    { id: '1', at, type: 'child.failed', data: { step: 'build', key: 'linux/amd64', reason } },
    { id: '2', at, type: 'step.failed', data: { step: 'build', reason } },
  ];
  expect(wordTrail(events).map(({ what, detail }) => [what, detail])).toEqual([
    ['Build linux/amd64: Failed', 'npm ci ended with 1'],
    ['Build: Failed', ''],
  ]);
});

test('the trail is told in the order things happened, whatever order they were written in', () => {
  const event = (id: string, type: string, step: string, at: string) => ({
    id,
    type,
    data: { step, reason: null },
    version: 1,
    at,
  });
  const events = [
    event('1', 'step.running', 'scan', '2026-11-21T15:06:33.100Z'),
    event('2', 'step.success', 'push', '2026-11-21T15:06:33.100Z'),
    event('3', 'step.running', 'push', '2026-11-21T15:06:32.900Z'),
  ];
  expect(wordTrail(events).map(({ what }) => what)).toEqual(['Push: Running', 'Push: Success', 'Scan: Running']);
});
