import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createWaker, eventStream } from '../../api/event-stream.ts';
import type { EventSink } from '../../api/event-stream.ts';
import { nextEvent, readEvents } from '../support/event-stream.ts';

const servers: { close(done: () => void): unknown }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise<void>((resolve) => server.close(resolve))));
});

/** A server on loopback whose only answer is this stream. */
async function serveStream(run: (sink: EventSink) => Promise<void>, stopping = new AbortController()) {
  const server = serve({
    fetch: () => eventStream(run, { stopping: stopping.signal, pingMs: 10 }),
    port: 0,
    hostname: '127.0.0.1',
  });
  servers.push(server);
  await once(server, 'listening');
  const { port }: Pick<AddressInfo, 'port'> = Object.assign({ port: 0 }, server.address());
  return `http://127.0.0.1:${port}`;
}

describe('a stream of events over HTTP', () => {
  it('sends each event as it comes, pings in between, and ends with its work', async () => {
    let finish = () => {};
    const url = await serveStream(async (sink) => {
      await sink.send({ id: 7, data: { a: 1 } });
      await new Promise<void>((resolve) => (finish = resolve));
      await sink.send({ event: 'end', data: {} });
    });
    const response = await fetch(url);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const text = response.body?.pipeThrough(new TextDecoderStream());
    let all = '';
    for await (const chunk of text ?? []) {
      all += chunk;
      if (all.includes(': ping')) finish();
    }
    expect(all).toMatch(
      /^retry: 2000\n\nid: 7\ndata: \{"a":1\}\n\n(: ping\n\n)+event: end\ndata: \{\}\n\n(: ping\n\n)*$/,
    );
  });

  it('tells its work when the reader leaves', async () => {
    const left = vi.fn<() => void>();
    const url = await serveStream(async (sink) => {
      await sink.send({ data: 1 });
      await once(sink.signal, 'abort');
      left();
    });
    const leaving = new AbortController();
    const events = readEvents(await fetch(url, { signal: leaving.signal }));
    await nextEvent(events);
    leaving.abort();
    await vi.waitFor(() => expect(left).toHaveBeenCalledOnce());
  });

  it('makes nothing ahead of a reader that takes nothing', async () => {
    let made = 0;
    const url = await serveStream(async (sink) => {
      for (; made < 2_000; made += 1) await sink.send({ data: 'x'.repeat(64 * 1024) });
    });
    const leaving = new AbortController();
    await fetch(url, { signal: leaving.signal });
    let before = -1;
    await vi.waitFor(
      () => {
        const isStill = made === before;
        before = made;
        expect(isStill && made > 0).toBe(true);
      },
      { interval: 200, timeout: 5_000 },
    );
    expect(made).toBeLessThan(500);
    leaving.abort();
  });

  it('says bye to a reader that comes while the process stops', async () => {
    const stopping = new AbortController();
    stopping.abort();
    const url = await serveStream(() => Promise.resolve(), stopping);
    expect(await (await fetch(url)).text()).toContain('event: bye\n');
  });

  it('ends when its work fails, so that the reader comes back', async () => {
    const url = await serveStream(async (sink) => {
      await sink.send({ id: 1, data: 1 });
      throw new Error('the database is away');
    });
    expect(await (await fetch(url)).text()).toContain('id: 1\n');
  });
});

describe('waiting for a notice', () => {
  it('ends at once for one that came before, and is otherwise bounded in time', async () => {
    const waker = createWaker();
    const { signal } = new AbortController();
    waker.notify();
    const startedAt = performance.now();
    await waker.wait(60_000, signal);
    await waker.wait(5, signal);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it('ends when a notice comes or the reader leaves', async () => {
    const waker = createWaker();
    const leaving = new AbortController();
    const woken = waker.wait(60_000, leaving.signal);
    waker.notify();
    await expect(woken).resolves.toBeUndefined();
    const left = waker.wait(60_000, leaving.signal);
    leaving.abort();
    await expect(left).resolves.toBeUndefined();
  });
});
