import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { StackError } from './stack-error.ts';

/** Everything of the embedded stack that listens, each on its own loopback port. */
export const portNames = [
  'api',
  'postgres',
  'temporal',
  'temporalUi',
  'temporalHttp',
  'temporalMetrics',
  'objectStore',
  'hangzhou',
  'singapore',
  'gitServer',
  'receiver',
] as const;
export type PortName = (typeof portNames)[number];
export type Ports = Readonly<Record<PortName, number>>;

const portsSchema = z.partialRecord(z.enum(portNames), z.int().min(1).max(65_535));

/**
 * The ports of this start. Those of the last start are kept, so that addresses stay true, unless something else took one
 * meanwhile. `apiPort` is what the user asked for: 0 means any; a taken one is the user's to solve.
 */
export async function choosePorts({
  home,
  apiPort,
}: {
  readonly home: string;
  readonly apiPort: number;
}): Promise<Ports> {
  const file = join(home, 'ports.json');
  const last = await lastPorts(file);
  if (apiPort !== 0 && !(await isFree(apiPort))) {
    throw new StackError(
      `Port ${apiPort} is taken by another program: stop it, or choose another with SLIPWAY_PORT (0 takes any free one).`,
    );
  }
  const chosen = new Map<PortName, number>();
  for (const name of portNames) {
    const wanted = name === 'api' && apiPort !== 0 ? apiPort : last[name];
    const isKept = wanted !== undefined && ![...chosen.values()].includes(wanted) && (await isFree(wanted));
    chosen.set(name, isKept ? wanted : await freePort([...chosen.values()]));
  }
  const ports = z.record(z.enum(portNames), z.int()).parse(Object.fromEntries(chosen));
  await writeFile(file, `${JSON.stringify(ports, null, 2)}\n`);
  return ports;
}

async function lastPorts(file: string): Promise<z.infer<typeof portsSchema>> {
  const text = await readFile(file, 'utf8').catch(() => '{}');
  return portsSchema.parse(JSON.parse(text));
}

/** A free loopback port that is none of `taken`. */
export async function freePort(taken: readonly number[] = []): Promise<number> {
  const port = await listenOn(0);
  return port !== undefined && !taken.includes(port) ? port : freePort(taken);
}

async function isFree(port: number): Promise<boolean> {
  return (await listenOn(port)) !== undefined;
}

/** Listens for a moment; the port, or undefined if it is taken. */
function listenOn(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}
