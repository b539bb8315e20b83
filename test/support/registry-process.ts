import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { resolveTools } from '../../tools/resolve.ts';

/** A real distribution registry of its own, on a free loopback port, with its data in a temporary folder. */
export interface RegistryProcess {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** What it wrote to its log so far. */
  readonly log: () => string;
  stop(): Promise<void>;
}

export interface RegistryProcessOptions {
  /** distribution's own sections, merged over ours: `auth`, `notifications`, `storage`. */
  readonly configuration?: Readonly<Record<string, unknown>>;
  /** Where its folder is made; the system's temporary folder unless said otherwise. */
  readonly under?: string;
}

const readyWithinMs = 20_000;

export async function startRegistry({
  configuration = {},
  under = tmpdir(),
}: RegistryProcessOptions = {}): Promise<RegistryProcess> {
  const { registry } = await resolveTools(['registry'], {
    env: process.env,
    onProgress: () => undefined,
    signal: AbortSignal.timeout(600_000),
  });
  const folder = await mkdtemp(join(under, 'slipway-registry-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  await writeFile(join(folder, 'config.yml'), stringify({ ...basics({ folder, host }), ...configuration }));

  const child = spawn(registry, ['serve', join(folder, 'config.yml')], {
    env: { OTEL_TRACES_EXPORTER: 'none' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()));

  async function stop(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    await rm(folder, { recursive: true, force: true });
  }

  const url = `http://${host}`;
  try {
    await answers(url, () => child.exitCode);
  } catch (error) {
    await stop();
    throw new Error(`The registry did not start: ${log.slice(-2_000)}`, { cause: error });
  }
  return { host, port, url, log: () => log, stop };
}

function basics({ folder, host }: { folder: string; host: string }): Record<string, unknown> {
  return {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: host, secret: 'only-for-this-test', relativeurls: true },
  };
}

async function answers(url: string, exitCode: () => number | null): Promise<void> {
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    const response = await fetch(`${url}/`).catch(() => undefined);
    if (response !== undefined) return;
    if (exitCode() !== null || performance.now() > deadline) throw new Error(`exit code ${String(exitCode())}`);
    await pause(20);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
