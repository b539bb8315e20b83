import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createListener } from '../../db/listener.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const notify = (channel: string, payload: string) => sql`select pg_notify(${channel}, ${payload})`.execute(database.db);

/** A listener on a channel of this test's own; `heard` fills as notices come. */
async function listen(channel: string) {
  const heard: (string | null)[] = [];
  const listener = createListener({ url: database.url, channels: [channel], onError: () => {}, reconnectMs: 10 });
  const stopHearing = listener.on(channel, (payload) => heard.push(payload));
  await listener.start();
  return { listener, heard, stopHearing };
}

it('hands every notice of a channel to whoever asked for it, until told to stop', async () => {
  const { listener, heard, stopHearing } = await listen('channel_a');
  await notify('channel_b', 'other');
  await notify('channel_a', 'one');
  await vi.waitFor(() => expect(heard).toEqual(['one']));
  stopHearing();
  const later: (string | null)[] = [];
  listener.on('channel_a', (payload) => later.push(payload));
  await notify('channel_a', 'two');
  await vi.waitFor(() => expect(later).toEqual(['two']));
  expect(heard).toEqual(['one']);
  await listener.stop();
});

it('connects again after its connection was lost, and says that notices may have been missed', async () => {
  const { listener, heard } = await listen('channel_c');
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen "channel_c"'`.execute(
    database.db,
  );
  await vi.waitFor(() => expect(heard).toEqual([null]), { timeout: 5_000 });
  await notify('channel_c', 'again');
  await vi.waitFor(() => expect(heard).toEqual([null, 'again']));
  await listener.stop();
});

it('refuses a channel it was not made for', async () => {
  const { listener } = await listen('channel_d');
  expect(() => listener.on('channel_e', () => {})).toThrow('channel_e');
  await listener.stop();
});
