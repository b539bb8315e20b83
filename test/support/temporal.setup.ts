import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { temporalNamespace } from '../../stack/temporal.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { startTemporal } from './temporal-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Temporal server for the whole project, a namespace for each file at work, the workflow bundle every worker of a test takes. */
    temporal: { address: string; namespaces: readonly string[]; bundlePath: string };
  }
}

/** One development server and one bundle for all tests of the project `workflow`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // The queues are the product's own: in one namespace two files at once would take each other's tasks.
  const others = Array.from(
    { length: project.config.maxWorkers - 1 },
    (_, index) => `${temporalNamespace}-${index + 2}`,
  );
  const { address, namespace, folder, stop } = await startTemporal({ others });
  try {
    const bundlePath = join(folder, 'workflows.js');
    await writeFile(bundlePath, await workflowBundle());
    project.provide('temporal', { address, namespaces: [namespace, ...others], bundlePath });
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}
