import { readlink } from 'node:fs/promises';
import { Socket as DatagramSocket } from 'node:dgram';
import { Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startDaemon } from './process-daemon.ts';

const listenProgram = fileURLToPath(new URL('build-network-listen.ts', import.meta.url));

/** The one address that steps reach: it stands on the loopback interface of the daemon's network, outside the steps' own range. */
export const gatewayAddress = '10.230.0.1';
/** The steps' own addresses, in a bridge that ends in the daemon's network. */
export const stepsSubnet = '10.231.0.0/16';

/** A way out of a network that has no other: what is listened on inside, and who takes the connections, outside. */
export type Door = { readonly name: string; readonly host: string; readonly port: number } & (
  | { readonly kind: 'tcp'; readonly take: (socket: Socket) => void }
  | { readonly kind: 'udp'; readonly answer: (datagram: Buffer) => Buffer | undefined }
);

export interface BuildNetwork {
  close(): Promise<void>;
}

/**
 * Opens the doors of the network namespace that process `pid` is about to make for itself. The namespace has no interface but
 * loopback and the bridge of its steps, so what is no door leads nowhere: not to this machine, not to another build, not outside.
 */
export async function openBuildNetwork(
  pid: number,
  { doors, signal }: { readonly doors: readonly Door[]; readonly signal: AbortSignal },
): Promise<BuildNetwork> {
  await untilSeparate(pid, signal);
  const opened: { close(): unknown }[] = [];
  const sockets = new Set<Socket>();
  const { promise: allOpen, resolve: haveAll } = Promise.withResolvers<undefined>();
  const inside = doors.map(({ name, kind, host, port }) => ({ name, kind, host, port }));
  const listening = await startDaemon({
    command: 'nsenter',
    args: [`--net=/proc/${pid}/ns/net`, '--', process.execPath, listenProgram, gatewayAddress, JSON.stringify(inside)],
    env: { PATH: process.env['PATH'] ?? '' },
    onSocket: (name, socket) => {
      const door = doors.find((each) => each.name === name);
      if (door?.kind === 'tcp' && socket instanceof Server) serve(socket, door.take, sockets);
      if (door?.kind === 'udp' && socket instanceof DatagramSocket) answer(socket, door.answer);
      if (opened.push(socket) === doors.length) haveAll(undefined);
    },
  });
  const close = async (): Promise<void> => {
    for (const each of opened) each.close();
    for (const socket of sockets) socket.destroy();
    await listening.stop({ graceMs: 0 });
  };
  try {
    await Promise.race([allOpen, listening.ended.then((why) => Promise.reject(why)), aborted(signal)]);
  } catch (error) {
    await close();
    throw error;
  }
  // It has nothing more to do; its sockets are ours now.
  await listening.stop({ graceMs: 0 });
  return { close };
}

function serve(server: Server, take: (socket: Socket) => void, sockets: Set<Socket>): void {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A program that goes away while we connect raises here.
    socket.on('error', () => socket.destroy());
    take(socket);
  });
}

function answer(socket: DatagramSocket, answerOf: (datagram: Buffer) => Buffer | undefined): void {
  // Whoever asked may be gone; nobody is owed an answer.
  socket.on('error', () => undefined);
  socket.on('message', (datagram, { address, port }) => {
    const reply = answerOf(datagram);
    if (reply !== undefined) socket.send(reply, port, address);
  });
}

/** Waits until the process has left our network: whoever enters too early would listen on this machine's own. */
async function untilSeparate(pid: number, signal: AbortSignal): Promise<void> {
  const own = await readlink('/proc/self/ns/net');
  while ((await readlink(`/proc/${pid}/ns/net`)) === own) await delay(2, undefined, { signal });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
