import type { Socket } from 'node:net';
import { egressRefusal, EgressRefused } from '../../domain/egress.ts';
import { createEgressConnect, type EgressOptions } from './egress.ts';
import { joinSockets } from './egress-proxy.ts';

const helloWithinMs = 10_000;
/** Of a record; a hello is one. */
const longestHello = 16 * 1024 + 5;
/** Fatal: access denied. Clients show it. */
const deniedAlert = Buffer.from([21, 3, 3, 0, 2, 2, 49]);

/**
 * For programs that use no proxy and were told by `dnsAnswer` that every host is here: reads the name they ask for from the first
 * bytes of their TLS connection and joins them with that host, at an address that was just checked. Nothing is decrypted.
 */
export function createEgressTlsGate(
  options: Pick<EgressOptions, 'policy' | 'connectTimeoutMs' | 'resolve'> & { readonly port?: number },
): (socket: Socket) => void {
  const port = options.port ?? 443;
  const connect = createEgressConnect(options);
  async function open(name: string): Promise<Socket> {
    const refusal = egressRefusal(new URL(`https://${name}:${port}`), options.policy);
    if (refusal !== undefined) throw new EgressRefused(refusal);
    return connect({ host: name, port });
  }
  return (socket) => {
    let hello = Buffer.alloc(0);
    socket.setTimeout(helloWithinMs, () => socket.destroy());
    socket.on('data', take);

    function take(chunk: Buffer): void {
      hello = Buffer.concat([hello, chunk]);
      const isWhole = hello.length >= 5 && hello.length >= 5 + hello.readUInt16BE(3);
      if (!isWhole && hello.length < longestHello) return;
      socket.off('data', take);
      socket.pause();
      socket.setTimeout(0);
      const name = serverName(hello);
      if (name === undefined) return void socket.end(deniedAlert);
      open(name).then(
        (upstream) => {
          upstream.write(hello);
          joinSockets(socket, upstream);
        },
        () => socket.end(deniedAlert),
      );
    }
  };
}

/** The server name of a TLS client's hello; undefined when it has none, or is no hello. */
export function serverName(hello: Buffer): string | undefined {
  try {
    return nameIn(hello);
  } catch (error) {
    // Lengths that point past the end.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function nameIn(hello: Buffer): string | undefined {
  const [handshakeRecord, clientHello, hostName] = [22, 1, 0];
  if (hello.readUInt8(0) !== handshakeRecord || hello.readUInt8(5) !== clientHello) return undefined;
  // Record header, handshake header, version, random; then three lists of their own lengths.
  let at = 5 + 4 + 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello.readUInt8(at);
  const end = at + 2 + hello.readUInt16BE(at);
  at += 2;
  while (at + 4 <= end) {
    const [type, length] = [hello.readUInt16BE(at), hello.readUInt16BE(at + 2)];
    if (type === hostName) {
      const size = hello.readUInt16BE(at + 4 + 3);
      const name = hello.toString('latin1', at + 9, at + 9 + size);
      return /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/.test(name) ? name : undefined;
    }
    at += 4 + length;
  }
  return undefined;
}
