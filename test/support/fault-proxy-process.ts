import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { createFaultProxy, type Faults } from './fault-proxy.ts';

/** A fault proxy with an event loop of its own, so that what is measured does not wait for it. */
export interface FaultProxyProcess {
  readonly port: number;
  readonly host: string;
  close(): Promise<void>;
}

const startSchema = z.object({
  target: z.object({ host: z.string(), port: z.number() }),
  faults: z.object({ delayMs: z.number(), bytesPerSecond: z.number() }),
});
/** What passes lives for the length of the delay: room for it saves collections, which would show in what is measured. */
const roomyHeap = ['--min-semi-space-size=64', '--max-semi-space-size=128'];
const readySchema = z.object({ port: z.number() });

export async function startFaultProxyProcess(
  target: { host: string; port: number },
  { delayMs = 0, bytesPerSecond = 0 }: Partial<Omit<Faults, 'cut'>> = {},
): Promise<FaultProxyProcess> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: 'inherit', execArgv: [...roomyHeap] });
  child.send({ target, faults: { delayMs, bytesPerSecond } });
  const [message] = await once(child, 'message');
  const { port } = readySchema.parse(message);
  return {
    port,
    host: `127.0.0.1:${port}`,
    async close() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

async function serve(message: unknown): Promise<void> {
  const { target, faults } = startSchema.parse(message);
  const { port } = await createFaultProxy(target, faults);
  process.send?.({ port });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.once('message', (message) => void serve(message));
  process.once('disconnect', () => process.exit());
}
