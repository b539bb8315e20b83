import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logTail, startChild } from '../../stack/child.ts';
import { freePort } from '../../stack/ports.ts';
import { isTemporalServing, settleTemporal, temporalNamespace, temporalServer } from '../../stack/temporal.ts';
import { waitFor } from '../../stack/wait.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';

export interface TemporalProcess {
  readonly address: string;
  /** The stack's own; those asked for are there too. */
  readonly namespace: string;
  /** Goes with the server. */
  readonly folder: string;
  stop(): Promise<void>;
}

/** A development server with the stack's namespace and others; a missing binary is compiled first. */
export async function startTemporal({ others = [] }: { others?: readonly string[] } = {}): Promise<TemporalProcess> {
  const { temporal } = await resolveTools(['temporal'], {
    env: process.env,
    onProgress: (line) => process.stderr.write(`${line}\n`),
    signal: new AbortController().signal,
  });
  const namespaces = [temporalNamespace, ...others];
  const folder = await mkdtemp(join(tmpdir(), 'slipway-temporal-'));
  const port = await freePort();
  const temporalHttp = await freePort([port]);
  const temporalMetrics = await freePort([port, temporalHttp]);
  const server = await startChild(
    temporalServer({
      binary: temporal,
      ports: { temporal: port, temporalHttp, temporalMetrics },
      databaseFile: join(folder, 'temporal.db'),
      isDurable: false,
      namespaces,
    }),
    { logFile: join(folder, 'temporal.log'), mark: folder },
  );
  const stop = async (): Promise<void> => {
    await server.stop(5_000);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitFor(() => isTemporalServing(temporal, port), AbortSignal.timeout(30_000));
    const attributes = Object.values(searchAttributes);
    await Promise.all(
      namespaces.map((namespace) => settleTemporal(temporal, { port, searchAttributes: attributes, namespace })),
    );
    return { address: `127.0.0.1:${port}`, namespace: temporalNamespace, folder, stop };
  } catch (error) {
    const tail = await logTail(join(folder, 'temporal.log'), 20);
    await stop();
    throw new Error(`The Temporal server for tests did not come up. Its last lines:\n${tail}`, { cause: error });
  }
}
