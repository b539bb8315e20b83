import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { announceProgress } from '../../db/repositories/build-log.ts';
import { nextEvent, readEvents } from '../support/event-stream.ts';
import { createLogWorld, numbered } from '../support/log-world.ts';
import type { LogWorld } from '../support/log-world.ts';

let world: LogWorld;
beforeAll(async () => {
  world = await createLogWorld();
});
afterAll(() => world.close());

describe('the live log', () => {
  it('sends what is stored, then what comes, then the end', async () => {
    const { id, end } = await world.seedBuild(numbered(1, 2));
    const response = await world.open(`/v1/builds/${id}/log/stream`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const events = readEvents(response);
    expect(await nextEvent(events)).toMatchObject({ id: '2', event: 'message' });
    await world.append(id, numbered(3, 4));
    const live = await nextEvent(events);
    expect(live.id).toBe('4');
    expect(JSON.parse(live.data)).toMatchObject({ items: [{ line: 3 }, { line: 4 }] });
    await end();
    expect(await nextEvent(events)).toEqual({ id: null, event: 'end', data: '{"status":"success","lines":4}' });
    expect((await events.next()).done).toBe(true);
  });

  it.each([
    ['the header Last-Event-ID', '', { 'last-event-id': '3' }],
    ['the query', '?after=3', {}],
    ['the header before the query', '?after=1', { 'last-event-id': '3' }],
  ])('resumes exactly by %s', async (_, query, headers) => {
    const { id, end } = await world.seedBuild(numbered(1, 2), numbered(3, 5));
    await end();
    const texts = await (await world.open(`/v1/builds/${id}/log/stream${query}`, headers)).text();
    expect([...texts.matchAll(/"line":(\d+)/g)].map((match) => Number(match[1]))).toEqual([4, 5]);
  });

  it('cuts a long backlog into events of at most 64 KiB, none lost or doubled', async () => {
    const { id, end } = await world.seedBuild(
      Array.from({ length: 500 }, (_, index) => `${index} ${'x'.repeat(1_000)}`),
      numbered(501, 510),
    );
    await end();
    const seen: number[] = [];
    for await (const event of readEvents(await world.open(`/v1/builds/${id}/log/stream`))) {
      expect(event.data.length).toBeLessThan(80 * 1024);
      seen.push(...[...event.data.matchAll(/"line":(\d+)/g)].map((match) => Number(match[1])));
    }
    expect(seen).toEqual(Array.from({ length: 510 }, (_, index) => index + 1));
  });

  it('tells how far a step has come without storing it', async () => {
    const { id } = await world.seedBuild(numbered(1, 1));
    const response = await world.open(`/v1/builds/${id}/log/stream`);
    const events = readEvents(response);
    await nextEvent(events);
    const progress = { platform: 'linux/amd64' as const, step: 4, text: 'sha256:aa 3.0 MB / 9.0 MB' };
    await announceProgress(world.api.deps.db, { ...progress, buildId: id });
    const told = await nextEvent(events);
    expect([told.id, told.event, JSON.parse(told.data)]).toEqual([null, 'progress', progress]);
    expect((await world.api.call('GET', `/v1/builds/${id}/log`)).body).toMatchObject({ lines: 1 });
    await response.body?.cancel().catch(() => undefined);
  });

  it('reads each piece once however many follow it, and every reader gets every line once', async () => {
    const { id, end } = await world.seedBuild(numbered(1, 5));
    const get = vi.spyOn(world.objects, 'objectGetBytes');
    const readers = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const texts = (await world.open(`/v1/builds/${id}/log/stream?after=${index % 5}`)).text();
        return { after: index % 5, texts };
      }),
    );
    for (let piece = 0; piece < 10; piece += 1) await world.append(id, numbered(6 + piece * 3, 8 + piece * 3));
    await end();
    for (const { after, texts } of readers) {
      const seen = [...(await texts).matchAll(/"line":(\d+)/g)].map((match) => Number(match[1]));
      expect(seen).toEqual(Array.from({ length: 35 - after }, (_, index) => after + index + 1));
    }
    expect(get.mock.calls.length).toBe(11);
    get.mockRestore();
  });

  it('says bye when the process stops', async () => {
    const { id } = await world.seedBuild(numbered(1, 1));
    const events = readEvents(await world.open(`/v1/builds/${id}/log/stream`));
    await nextEvent(events);
    world.stopping.abort();
    expect(await nextEvent(events)).toMatchObject({ event: 'bye' });
    expect((await events.next()).done).toBe(true);
  });
});
