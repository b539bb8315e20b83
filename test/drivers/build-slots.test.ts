import { describe, expect, test } from 'vitest';
import { createBuildSlots, type BuildSlot, type BuildSlots } from '../../activities/drivers/build-slots.ts';

const signal = new AbortController().signal;
const nothing = () => Promise.resolve();

function taking(slots: BuildSlots, namespaceId: string, buildId: string): Promise<BuildSlot> {
  return slots.take({ namespaceId, buildId, signal });
}

/** What a promise has come to by now. */
function stateOf(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([promise, Promise.resolve('waits')]);
}

describe('slots for builds', () => {
  test('all architectures of a build share one slot, and another build beside it gets another', async () => {
    const slots = createBuildSlots({ maxTaken: 4 });
    const [amd64, arm64, other] = [
      await taking(slots, 'acme', 'build-1'),
      await taking(slots, 'acme', 'build-1'),
      await taking(slots, 'acme', 'build-2'),
    ];
    expect(arm64).toBe(amd64);
    expect(other).toEqual({ namespaceId: 'acme', index: 1 });
  });

  test('no namespace ever gets a slot of another', async () => {
    const slots = createBuildSlots({ maxTaken: 1 });
    const first = await taking(slots, 'acme', 'build-1');
    await slots.release(first, nothing);
    const second = await taking(slots, 'other', 'build-2');
    expect(second).toEqual({ namespaceId: 'other', index: 0 });
    expect(second).not.toBe(first);
  });

  test('a slot is free again only after its last holder, and after what that build left is cleaned up', async () => {
    const slots = createBuildSlots({ maxTaken: 1 });
    const slot = await taking(slots, 'acme', 'build-1');
    await taking(slots, 'acme', 'build-1');
    const next = taking(slots, 'acme', 'build-2');
    await slots.release(slot, () => Promise.reject(new Error('not the last one')));
    expect(await stateOf(next)).toBe('waits');

    const { promise: cleaned, resolve: finishCleaning } = Promise.withResolvers<undefined>();
    const released = slots.release(slot, () => cleaned);
    expect(await stateOf(next)).toBe('waits');
    expect(slots.isFree(slot)).toBe(false);
    finishCleaning(undefined);
    await released;
    expect(await next).toBe(slot);
  });

  test('an architecture that comes while its build is being cleaned up waits like any other', async () => {
    const slots = createBuildSlots({ maxTaken: 1 });
    const slot = await taking(slots, 'acme', 'build-1');
    const { promise: cleaned, resolve: finishCleaning } = Promise.withResolvers<undefined>();
    const released = slots.release(slot, () => cleaned);
    const late = taking(slots, 'acme', 'build-1');
    expect(await stateOf(late)).toBe('waits');
    finishCleaning(undefined);
    await released;
    expect(await late).toBe(slot);
  });

  test('builds over the limit wait in the order they came, and a canceled one leaves the line', async () => {
    const slots = createBuildSlots({ maxTaken: 1 });
    const slot = await taking(slots, 'acme', 'build-1');
    const canceling = new AbortController();
    const canceled = slots.take({ namespaceId: 'acme', buildId: 'build-2', signal: canceling.signal });
    const third = taking(slots, 'other', 'build-3');
    const fourth = taking(slots, 'acme', 'build-4');
    canceling.abort(new Error('canceled'));
    await expect(canceled).rejects.toThrow('canceled');
    await slots.release(slot, nothing);
    const served = await third;
    expect(served.namespaceId).toBe('other');
    expect(await stateOf(fourth)).toBe('waits');
    await slots.release(served, nothing);
    expect(await fourth).toBe(slot);
  });

  test('a build that is canceled already takes none', async () => {
    const slots = createBuildSlots({ maxTaken: 1 });
    const request = { namespaceId: 'acme', buildId: 'build-1', signal: AbortSignal.abort(new Error('canceled')) };
    await expect(slots.take(request)).rejects.toThrow('canceled');
    expect(await taking(slots, 'acme', 'build-2')).toEqual({ namespaceId: 'acme', index: 0 });
  });
});
