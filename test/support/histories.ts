import { mkdirSync, writeFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

/**
 * Keeps a finished workflow's history as a fixture of the replay test, when `SLIPWAY_RECORD_HISTORIES` names the version to file it
 * under; otherwise nothing. Done by hand after a change that `patched()` guards.
 */
export async function keepHistory(client: Client, workflowId: string, name: string): Promise<void> {
  const version = process.env['SLIPWAY_RECORD_HISTORIES'];
  if (version === undefined) return;
  const folder = new URL(`../histories/${version}/`, import.meta.url);
  mkdirSync(folder, { recursive: true });
  const history = historyToJSON(await client.workflow.getHandle(workflowId).fetchHistory());
  // Names of machines and paths of checkouts have no place in a fixture; replay does not look at them.
  const clean = (key: string, value: unknown) => (key === 'identity' ? 'test' : key === 'stackTrace' ? '' : value);
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(JSON.parse(history, clean), null, 1)}\n`);
}
