import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createEgressTlsGate, serverName } from '../../activities/drivers/egress-tls.ts';
import type { EgressPolicy } from '../../domain/egress.ts';

const loopback: EgressPolicy = { allow: ['packages.example.com'], denied: [], ports: 'any', isHttpAllowed: false };
const resolve = async () => ['127.0.0.1'];

async function listening(take: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    take(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The first words of a TLS client of Node's own. */
async function helloTo(name: string): Promise<Buffer> {
  const { promise: hello, resolve: heard } = Promise.withResolvers<Buffer>();
  const port = await listening((socket) => socket.once('data', (bytes) => heard(bytes)));
  const client = connectTls({ host: '127.0.0.1', port, ...(name === '' ? {} : { servername: name }) });
  client.on('error', () => undefined);
  onTestFinished(() => void client.destroy());
  return hello;
}

describe('the name in a TLS hello', () => {
  test('is read, and is none where the client names no host', async () => {
    expect(serverName(await helloTo('packages.example.com'))).toBe('packages.example.com');
    expect(serverName(await helloTo(''))).toBeUndefined();
  });

  test('a broken hello has none', async () => {
    const hello = await helloTo('packages.example.com');
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, byte) => {
        const broken = Buffer.from(hello.subarray(0, at + 1));
        broken[at] = byte;
        expect([undefined, 'string']).toContain(
          serverName(broken) === undefined ? undefined : typeof serverName(broken),
        );
      }),
    );
    expect(serverName(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBeUndefined();
  });
});

describe('the gate', () => {
  /** What the server behind the gate hears, and what the client is answered, of a hello sent byte by byte. */
  async function throughGate({ policy, name }: { policy: EgressPolicy; name: string }) {
    const heard: Buffer[] = [];
    const upstream = await listening((socket) => {
      socket.on('data', (bytes: Buffer) => {
        heard.push(bytes);
        socket.end('answer');
      });
    });
    const gate = await listening(createEgressTlsGate({ policy, resolve, port: upstream }));
    const hello = await helloTo(name);
    const client = connect({ host: '127.0.0.1', port: gate });
    for (const byte of hello.subarray(0, 8)) client.write(Buffer.of(byte));
    client.write(hello.subarray(8));
    const chunks: Buffer[] = [];
    for await (const chunk of client) chunks.push(chunk);
    return { hello, heard: Buffer.concat(heard), answered: Buffer.concat(chunks) };
  }

  test('an allowed host hears every byte from the first, and its answer comes back', async () => {
    const { hello, heard, answered } = await throughGate({ policy: loopback, name: 'packages.example.com' });
    expect(heard).toEqual(hello);
    expect(answered.toString()).toBe('answer');
  });

  test.each([
    ['a name the rules do not allow', { ...loopback, allow: ['external'] }, 'packages.example.com'],
    ['a port the rules do not allow', { ...loopback, ports: [8443] }, 'packages.example.com'],
    ['a client that names no host', loopback, ''],
  ])('%s is answered with “access denied”, and nothing is heard', async (_, policy, name) => {
    const { heard, answered } = await throughGate({ policy, name });
    expect(heard).toHaveLength(0);
    expect([...answered]).toEqual([21, 3, 3, 0, 2, 2, 49]);
  });
});
