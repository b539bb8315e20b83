import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { dnsAnswer } from '../../activities/drivers/dns-answer.ts';

/** A resolver of Node's own that asks us. */
async function asking(): Promise<Resolver> {
  const socket = createSocket('udp4');
  socket.on('message', (query, { address, port }) => {
    const answer = dnsAnswer(query, '10.230.0.1');
    if (answer !== undefined) socket.send(answer, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  const resolver = new Resolver({ timeout: 2_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return resolver;
}

describe('answers to names', () => {
  test('every name has the gateway’s address', async () => {
    const resolver = await asking();
    expect(await resolver.resolve4('packages.example.com')).toEqual(['10.230.0.1']);
    expect(await resolver.resolve4(`${'a'.repeat(63)}.example.com`)).toEqual(['10.230.0.1']);
  });

  test('no name has anything else, and none is unknown', async () => {
    const resolver = await asking();
    await expect(resolver.resolve6('packages.example.com')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver.resolveTxt('packages.example.com')).rejects.toMatchObject({ code: 'ENODATA' });
  });

  test('whatever else is sent there is no harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const answer = dnsAnswer(Buffer.from(bytes), '10.230.0.1');
        expect(answer === undefined || answer.length <= bytes.length + 16).toBe(true);
      }),
    );
  });
});
