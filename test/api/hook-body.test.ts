import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createHookBodies } from '../../api/hook-body.ts';
import type { SignatureCheck } from '../../api/source-hosts/source-host.ts';
import { limits } from '../../domain/limits.ts';

const noCheck: SignatureCheck = { update: () => {}, isValid: () => true };

/** A request whose body ends only when `end` is called. */
function openRequest(firstChunk: Uint8Array) {
  let end = () => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(firstChunk);
      end = () => controller.close();
    },
  });
  return {
    request: new Request('http://127.0.0.1/hooks/x', { method: 'POST', body, duplex: 'half' }),
    end: () => end(),
  };
}

describe('taking in the body of a hook', () => {
  it('feeds the raw bytes to the signature and keeps them packed', async () => {
    const fed: Uint8Array[] = [];
    const check: SignatureCheck = { update: (chunk) => fed.push(chunk), isValid: () => true };
    const { request, end } = openRequest(Buffer.from('{"a":'));
    const reading = createHookBodies().read(request, check);
    end();
    const { gzipped } = await reading;
    expect(Buffer.concat(fed).toString()).toBe('{"a":');
    expect(gunzipSync(gzipped).toString()).toBe('{"a":');
  });

  it('gives up on a sender that dribbles', async () => {
    const { request } = openRequest(Buffer.from('{'));
    await expect(createHookBodies({ timeLimitMs: 20 }).read(request, noCheck)).rejects.toMatchObject({
      status: 408,
      code: 'request.timeout',
    });
  });

  it.each([
    ['of an unknown length', {}],
    ['of a declared length', { 'content-length': '100' }],
  ])('does not take a connection that breaks in mid-body (%s) for a failure of ours', async (_what, headers) => {
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error('aborted'));
      },
    });
    const request = new Request('http://127.0.0.1/hooks/x', { method: 'POST', headers, body, duplex: 'half' });
    await expect(createHookBodies().read(request, noCheck)).rejects.toMatchObject({
      status: 400,
      code: 'request.unreadable',
    });
  });

  it('takes eight large bodies at once, and a ninth when one has ended', async () => {
    const bodies = createHookBodies();
    const large = new Uint8Array(limits.hookLargeBodyBytes + 1);
    const requests = Array.from({ length: limits.hookLargeBodies }, () => openRequest(large));
    const readings = requests.map(({ request }) => bodies.read(request, noCheck));
    const small = openRequest(new Uint8Array(10));
    const smallReading = bodies.read(small.request, noCheck);
    small.end();
    await smallReading;
    await expect(bodies.read(openRequest(large).request, noCheck)).rejects.toMatchObject({
      status: 503,
      code: 'source.hook_busy',
      extra: { retryAfterSeconds: 5 },
    });
    for (const { end } of requests) end();
    await Promise.all(readings);
    const ninth = openRequest(large);
    const ninthReading = bodies.read(ninth.request, noCheck);
    ninth.end();
    await ninthReading;
  });
});
