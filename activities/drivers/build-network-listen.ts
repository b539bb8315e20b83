import { spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { z } from 'zod';

const doorsSchema = z.array(
  z.object({ name: z.string(), kind: z.enum(['tcp', 'udp']), host: z.string(), port: z.int().min(1) }),
);

/**
 * Run inside a daemon's network namespace (`build-network.ts`): brings loopback up with the gateway's address, listens on each
 * door, hands the listening sockets to the process outside, and ends when that has them all. A socket stays in the namespace it
 * was made in, whoever accepts on it, so nothing of ours has to stay inside.
 */
async function main([gateway = '', doors = '[]']: readonly string[]): Promise<void> {
  ip('link', 'set', 'lo', 'up');
  ip('address', 'add', `${gateway}/32`, 'dev', 'lo');
  // A program that does not use the proxy fails at once, not after minutes of silence; every one, not one a second.
  ip('route', 'add', 'unreachable', 'default');
  writeFileSync('/proc/sys/net/ipv4/icmp_ratelimit', '0');
  for (const { name, kind, host, port } of doorsSchema.parse(JSON.parse(doors))) {
    process.send?.(name, kind === 'tcp' ? await listening(host, port) : await bound(host, port));
  }
  process.once('disconnect', () => process.exit(0));
}

async function listening(host: string, port: number): Promise<Server> {
  const server = createServer();
  server.listen({ host, port });
  await once(server, 'listening');
  return server;
}

async function bound(host: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port, host);
  await once(socket, 'listening');
  return socket;
}

function ip(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (error !== undefined) throw new Error(`ip (Debian: iproute2) cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

await main(process.argv.slice(2));
