import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  chainInput,
  connectClient,
  digestOf,
  endless,
  fakeActivities,
  permanent,
  runChain,
  withWorkers,
  workflowIdOf,
} from '../support/chain-world.ts';
import { keepHistory } from '../support/histories.ts';

let client: Client;
beforeAll(async () => {
  client = await connectClient();
});
afterAll(() => client.connection.close());

test('a build in another region is taken by its workers, and told whose they are', async () => {
  const fakes = fakeActivities();
  const input = chainInput();
  if (input.origin.kind !== 'source') throw new Error('the sample chain builds');
  const elsewhere = { ...input, origin: { ...input.origin, buildRegion: 'us-east-1' } };
  const end = await withWorkers(fakes, () => runChain(client, elsewhere), { regions: ['us-east-1'] });

  expect(end.result).toBe('success');
  expect(fakes.buildImage.mock.calls.map(([{ buildRegion }]) => buildRegion)).toEqual(['us-east-1', 'us-east-1']);
});

describe('a build of several architectures', () => {
  const failing = permanent('build.step_failed', 'a step failed');

  /** One architecture fails; the other is still under way then. */
  function armFails(fakes: ReturnType<typeof fakeActivities>): void {
    const usual = fakes.buildImage.getMockImplementation();
    fakes.buildImage.mockImplementation(async (input) => {
      if (input.platform === 'linux/arm64') throw failing;
      return (await usual?.(input)) ?? Promise.reject(new Error('no default'));
    });
  }

  function partialInput() {
    const input = chainInput();
    const { origin } = input;
    if (origin.kind !== 'source') throw new Error('the sample chain builds');
    return { ...input, origin: { ...origin, rule: { ...origin.rule, allowPartial: true } } };
  }

  test('of which one fails has no index and no tag, and the others are stopped', async () => {
    const fakes = fakeActivities();
    let isStopped = false;
    fakes.buildImage.mockImplementation(async ({ platform }) => {
      if (platform === 'linux/arm64') throw failing;
      return endless(() => undefined)().finally(() => (isStopped = true));
    });
    const end = await withWorkers(fakes, () => runChain(client, chainInput()));

    expect(end).toMatchObject({ result: 'failed', reason: { code: 'build.step_failed' } });
    expect(isStopped).toBe(true);
    expect(fakes.assembleIndex).not.toHaveBeenCalled();
    expect(fakes.moveTags).not.toHaveBeenCalled();
  });

  test('goes on with those that can where the rule allows it, and says which one failed', async () => {
    const fakes = fakeActivities();
    armFails(fakes);
    const input = partialInput();
    const end = await withWorkers(fakes, () => runChain(client, input));
    await keepHistory(client, workflowIdOf(input), 'partial-build');

    expect(end).toMatchObject({ result: 'success', reason: { params: { missingPlatforms: 1 } } });
    expect(end.reason.text).toContain('1 architecture failed');
    expect(fakes.assembleIndex.mock.calls[0]?.[0]).toMatchObject({
      images: [{ platform: 'linux/amd64' }],
      failed: [{ platform: 'linux/arm64', reason: { code: 'build.step_failed', text: 'a step failed' } }],
    });
    expect(fakes.scanImage.mock.calls.map(([{ image }]) => image.platform)).toEqual(['linux/amd64']);
  });

  test('of which none succeeds fails, whatever the rule allows', async () => {
    const fakes = fakeActivities();
    fakes.buildImage.mockRejectedValue(failing);
    const end = await withWorkers(fakes, () => runChain(client, partialInput()));

    expect(end).toMatchObject({ result: 'failed', reason: { code: 'build.step_failed' } });
  });

  test('takes over what an earlier build made, and builds only the rest', async () => {
    const fakes = fakeActivities();
    const input = chainInput();
    const amd64 = {
      platform: 'linux/amd64',
      digest: digestOf('d'),
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      sizeBytes: 500,
    };
    const origin = { ...input.origin, reuse: [amd64] };
    const end = await withWorkers(fakes, () => runChain(client, { ...input, origin }));

    expect(end.result).toBe('success');
    expect(fakes.buildImage.mock.calls.map(([{ platform }]) => platform)).toEqual(['linux/arm64']);
    expect(fakes.assembleIndex.mock.calls[0]?.[0].images.map(({ digest }) => digest)[0]).toBe(amd64.digest);
  });
});
