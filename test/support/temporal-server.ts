import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../../stack/child.ts';
import { freePort } from '../../stack/ports.ts';
import { isTemporalServing, settleTemporal, temporalNamespace, temporalServer } from '../../stack/temporal.ts';
import { waitFor } from '../../stack/wait.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';

export interface TemporalProcess {
  readonly address: string;
  readonly namespace: string;
  stop(): Promise<void>;
}

/** A development server of a test's own, for tests outside the project that has one. */
export async function startTemporal(): Promise<TemporalProcess> {
  const { temporal } = await resolveTools(['temporal'], {
    env: process.env,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
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
    }),
    { logFile: join(folder, 'temporal.log'), mark: folder },
  );
  const stop = async (): Promise<void> => {
    await server.stop(5_000);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitFor(() => isTemporalServing(temporal, port), AbortSignal.timeout(30_000));
    await settleTemporal(temporal, { port, searchAttributes: Object.values(searchAttributes) });
    return { address: `127.0.0.1:${port}`, namespace: temporalNamespace, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
