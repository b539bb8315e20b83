import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { workflowBundle } from '../../worker/bundle.ts';
import * as workflows from '../../workflows/index.ts';

const histories = new URL('../histories/', import.meta.url);
const files = readdirSync(histories, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.json'));
const historyOf = (file: string): unknown => JSON.parse(readFileSync(new URL(file, histories), 'utf8'));
const startSchema = z.looseObject({
  workflowExecutionStartedEventAttributes: z.looseObject({ workflowType: z.object({ name: z.string() }) }),
});
const historySchema = z.looseObject({ events: z.tuple([startSchema], z.unknown()) });
const workflowOf = (file: string): string =>
  historySchema.parse(historyOf(file)).events[0].workflowExecutionStartedEventAttributes.workflowType.name;

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });

describe('every kept history', () => {
  let code: string;
  beforeAll(async () => {
    code = await workflowBundle();
  }, 60_000);

  test('every workflow has one', () => {
    expect(new Set(files.map((file) => workflowOf(file)))).toEqual(new Set(Object.keys(workflows)));
  });

  test('there are histories of a success, a denial, cancellations and a retried delivery', () => {
    const names = files.map((file) => file.split('/').at(-1));
    expect(names).toEqual(
      expect.arrayContaining(['success.json', 'denied.json', 'canceled-in-build.json', 'delivery-retried.json']),
    );
  });

  test.each(files)('%s is replayed by the workflows as they are now', async (file) => {
    await expect(Worker.runReplayHistory({ workflowBundle: { code } }, historyOf(file))).resolves.toBeUndefined();
  });
});

test('a changed order without patched() is caught', async () => {
  const workflowsPath = fileURLToPath(new URL('../fixtures/changed-workflows/index.ts', import.meta.url));
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  const success = files.find((file) => file.endsWith('success.json')) ?? '';
  await expect(Worker.runReplayHistory({ workflowBundle: { code } }, historyOf(success))).rejects.toThrow(
    DeterminismViolationError,
  );
}, 60_000);
