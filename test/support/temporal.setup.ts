import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { logTail, startChild } from '../../stack/child.ts';
import { freePort } from '../../stack/ports.ts';
import { isTemporalServing, settleTemporal, temporalNamespace, temporalServer } from '../../stack/temporal.ts';
import { waitFor } from '../../stack/wait.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Temporal server for the whole project, a namespace for each file at work, the workflow bundle every worker of a test takes. */
    temporal: { address: string; namespaces: readonly string[]; bundlePath: string };
  }
}

/** One development server and one bundle for all tests of the project `workflow`; a missing binary is compiled first. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { temporal } = await resolveTools(['temporal'], {
    env: process.env,
    onProgress: (line) => process.stderr.write(`${line}\n`),
    signal: new AbortController().signal,
  });
  // The queues are the product's own: in one namespace two files at once would take each other's tasks.
  const others = Array.from(
    { length: project.config.maxWorkers - 1 },
    (_, index) => `${temporalNamespace}-${index + 2}`,
  );
  const namespaces = [temporalNamespace, ...others];
  const folder = await mkdtemp(join(tmpdir(), 'slipway-temporal-'));
  const port = await freePort();
  const httpPort = await freePort([port]);
  const metricsPort = await freePort([port, httpPort]);
  const server = await startChild(
    temporalServer({
      binary: temporal,
      ports: { temporal: port, temporalHttp: httpPort, temporalMetrics: metricsPort },
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
    const bundlePath = join(folder, 'workflows.js');
    await writeFile(bundlePath, await workflowBundle());
    project.provide('temporal', { address: `127.0.0.1:${port}`, namespaces, bundlePath });
    return stop;
  } catch (error) {
    const tail = await logTail(join(folder, 'temporal.log'), 20);
    await stop();
    throw new Error(`The Temporal server for tests did not come up. Its last lines:\n${tail}`, { cause: error });
  }
}
