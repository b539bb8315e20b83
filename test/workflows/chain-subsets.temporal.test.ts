import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StepsInput } from '../../activities/record.ts';
import type { DeliveryChainInput, RunEnd } from '../../domain/chain.ts';
import { chainInput, connectClient, digestOf, fakeActivities, runChain, withWorkers } from '../support/chain-world.ts';

const optional = ['build', 'scan', 'replicate', 'trigger'] as const;
type Optional = (typeof optional)[number];

/** Every subset of the optional nodes; push is always on. */
const subsets = Array.from({ length: 2 ** optional.length }, (_, bits) =>
  optional.filter((_name, index) => (bits >> index) % 2 === 1),
).map((nodes) => ({ nodes, shown: nodes.join(', ') || 'none', input: inputOf(nodes) }));

function inputOf(nodes: readonly Optional[]): DeliveryChainInput {
  const input = chainInput();
  const image = { kind: 'image' as const, tag: input.runId, digest: digestOf('c') };
  return {
    ...input,
    origin: nodes.includes('build') ? input.origin : image,
    chain: {
      ...input.chain,
      scan: nodes.includes('scan') ? input.chain.scan : null,
      isReplicateOn: nodes.includes('replicate'),
      isTriggerOn: nodes.includes('trigger'),
    },
  };
}

interface Call {
  readonly activity: string;
  readonly order: number;
  readonly args: string;
}

const ends = new Map<string, RunEnd>();
/** Every call of every activity, and what the Record was told: mocks forget between tests. */
let calls: readonly Call[] = [];
let told: readonly StepsInput[] = [];
let client: Client;
beforeAll(async () => {
  client = await connectClient();
  const fakes = fakeActivities();
  await withWorkers(fakes, () =>
    Promise.all(subsets.map(async ({ input }) => ends.set(input.runId, await runChain(client, input)))),
  );
  told = fakes.recordSteps.mock.calls.map(([each]) => each);
  calls = Object.entries(fakes).flatMap(([activity, { mock }]) =>
    mock.calls.map((args, index) => ({
      activity,
      order: mock.invocationCallOrder[index] ?? Number.NaN,
      args: JSON.stringify(args),
    })),
  );
});
afterAll(() => client.connection.close());

/** The place of an activity's first call for a run among all calls, undefined when it was never called. */
function firstCall(activity: string, runId: string): number | undefined {
  return calls.find((call) => call.activity === activity && call.args.includes(runId))?.order;
}

test.each(subsets)(
  'with $shown of the optional nodes on, each works in chain order and the others are skipped',
  ({ nodes, input: { runId } }) => {
    const has = (name: Optional) => nodes.includes(name);
    const stateOf = (name: Optional) => (has(name) ? 'success' : 'skipped');
    const states = {
      build: stateOf('build'),
      push: 'success',
      scan: stateOf('scan'),
      replicate: stateOf('replicate'),
      trigger: stateOf('trigger'),
    };
    expect(ends.get(runId)).toMatchObject({ result: 'success', steps: states });
    const notes = told.flatMap((each) => (each.runId === runId ? each.steps : []));
    expect(Object.fromEntries(notes.map(({ name, state }) => [name, state]))).toEqual(states);
    const skipped = notes.filter(({ state }) => state === 'skipped').map(({ name, why }) => [name, why]);
    expect(skipped).toEqual(
      optional.filter((name) => !has(name)).map((name) => [name, name === 'build' ? 'not_applicable' : 'disabled']),
    );

    const inOrder = [
      ...(has('build') ? ['cloneSource', 'buildImage', 'assembleIndex'] : ['resolveImage']),
      ...(has('scan') ? ['scanImage'] : []),
      ...(has('replicate') ? ['replicateImage'] : []),
      ...(has('trigger') ? ['openDeliveries'] : []),
    ].map((activity) => firstCall(activity, runId) ?? Number.NaN);
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
    const ofNodes = ['cloneSource', 'moveTags', 'scanImage', 'replicateImage', 'openDeliveries'];
    expect(ofNodes.filter((activity) => firstCall(activity, runId) !== undefined)).toEqual([
      ...(has('build') ? ['cloneSource', 'moveTags'] : []),
      ...(has('scan') ? ['scanImage'] : []),
      ...(has('replicate') ? ['replicateImage'] : []),
      ...(has('trigger') ? ['openDeliveries'] : []),
    ]);
  },
);
