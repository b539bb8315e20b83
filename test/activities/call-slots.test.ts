import { expect, test } from 'vitest';
import { createCallSlots } from '../../activities/call-slots.ts';

const never = new AbortController().signal;
const long = { waitMs: 10_000, signal: never };
const short = { waitMs: 5, signal: never };

test('a key has so many slots and no more, other keys have their own', async () => {
  const slots = createCallSlots(2);
  await slots.take('a', long);
  await slots.take('a', long);
  expect(await slots.take('a', short)).toBeUndefined();
  expect(await slots.take('b', short)).toBeTypeOf('function');
});

test('those who wait come in order, each when a slot is given back', async () => {
  const slots = createCallSlots(1);
  const order: string[] = [];
  const first = await slots.take('a', long);
  const waiting = ['second', 'third'].map(async (name) => {
    const release = await slots.take('a', long);
    order.push(name);
    release?.();
  });
  expect(order).toEqual([]);
  first?.();
  await Promise.all(waiting);
  expect(order).toEqual(['second', 'third']);
  expect(await slots.take('a', short)).toBeTypeOf('function');
});

test('one that gave up waiting leaves its place, and a slot given back twice is one slot', async () => {
  const slots = createCallSlots(1);
  const first = await slots.take('a', long);
  expect(await slots.take('a', short)).toBeUndefined();
  const next = slots.take('a', long);
  first?.();
  first?.();
  expect(await next).toBeTypeOf('function');
  expect(await slots.take('a', short)).toBeUndefined();
});

test('one whose activity is canceled while it waits gets that reason', async () => {
  const slots = createCallSlots(1);
  await slots.take('a', long);
  const controller = new AbortController();
  const waiting = slots.take('a', { waitMs: 10_000, signal: controller.signal });
  controller.abort(new Error('the worker shuts down'));
  await expect(waiting).rejects.toThrow('the worker shuts down');
});
