import { expect, test } from 'vitest';
import { runResults, runStatuses, stepStates } from '../../domain/record.ts';
import { deliveryStatuses } from '../../domain/trigger.ts';
import { deliveryLooks, resultLooks, runLook, statusLooks, stepLooks } from '../../console/src/ui/state.ts';

test('every state has an icon, a word and a colour', () => {
  for (const state of stepStates) expect(stepLooks[state].word).not.toBe('');
  for (const result of runResults) expect(resultLooks[result].word).not.toBe('');
  for (const status of runStatuses) expect(statusLooks[status].word).not.toBe('');
  for (const status of deliveryStatuses) expect(deliveryLooks[status].word).not.toBe('');
});

test('denied reads "Blocked" and looks like no failure', () => {
  expect(resultLooks.denied).toEqual({ icon: 'denied', word: 'Blocked', tone: 'denied' });
  expect(stepLooks.denied).toEqual({ icon: 'denied', word: 'Blocked', tone: 'denied' });
  expect(resultLooks.failed.tone).not.toBe(resultLooks.denied.tone);
});

test('different outcomes differ in more than their colour', () => {
  const icons = runResults.map((result) => resultLooks[result].icon);
  expect(new Set(icons).size).toBe(icons.length);
});

test('a run shows its status until it has a result', () => {
  expect(runLook({ status: 'canceling', result: null }).word).toBe('Canceling');
  expect(runLook({ status: 'complete', result: 'denied' }).word).toBe('Blocked');
});
