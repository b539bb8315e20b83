import { connect, type Socket } from 'node:net';
import { Agent } from 'undici';

const attackerAddress = '127.0.0.2';
const slowSockets = 500;
const wrongSenders = 50;

/** What came of an attack while it went on. */
export interface AttackOutcome {
  readonly refused: number;
  /** Answers of 500 and above. */
  readonly failures: number;
}

/**
 * Until it is ended: five hundred connections that begin a delivery and never go on, and fifty that send wrong signatures as fast as
 * they are answered, all from an address of their own.
 */
export function attack(url: string, path: string): { end(): Promise<AttackOutcome> } {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: slowSockets }, () => slowSocket({ hostname, port: Number(port), path }));
  const agent = new Agent({ connections: wrongSenders, pipelining: 1, connect: { localAddress: attackerAddress } });
  let isOver = false;
  let refused = 0;
  let failures = 0;
  const sender = async (): Promise<void> => {
    while (!isOver) {
      const answer = await agent.request({
        origin: url,
        path,
        method: 'POST',
        headers: { 'x-github-event': 'push', 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` },
        body: '{"ref":"refs/heads/main"}',
      });
      await answer.body.dump();
      refused += 1;
      if (answer.statusCode >= 500) failures += 1;
    }
  };
  const sending = Promise.all(Array.from({ length: wrongSenders }, sender));
  return {
    async end() {
      isOver = true;
      await sending;
      for (const socket of sockets) socket.destroy();
      await agent.close();
      return { refused, failures };
    },
  };
}

function slowSocket({ hostname, port, path }: { hostname: string; port: number; path: string }): Socket {
  const socket = connect({ host: hostname, port, localAddress: attackerAddress });
  // The server ends it after its time, which is what it should do.
  socket.on('error', () => undefined);
  socket.write(`POST ${path} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 1000\r\n\r\n{`);
  return socket;
}
