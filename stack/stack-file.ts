import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keys } from './keys.ts';
import { type Addresses, managedInstances } from './parts.ts';
import type { Ports } from './ports.ts';
import { temporalNamespace } from './temporal.ts';

/** What a running stack says of itself in `stack.json`; tests and tools read it. There is no such file while none runs. */
export interface StackFile {
  readonly url: string;
  readonly adminToken: string;
  readonly temporal: { readonly address: string; readonly namespace: string; readonly uiUrl: string | null };
  readonly postgres: { readonly url: string };
  readonly objectStore: { readonly endpoint: string; readonly bucket: string };
  readonly instances: readonly { readonly name: string; readonly registryUrl: string }[];
  /** By part; `supervisor` is the process that watches them. */
  readonly pids: Readonly<Record<string, number>>;
  /** The sample's own servers. */
  readonly sample: { readonly gitUrl: string; readonly receiverUrl: string };
}

export function stackFileOf({
  keys,
  ports,
  addresses,
  pids,
}: {
  readonly keys: Keys;
  readonly ports: Ports;
  readonly addresses: Addresses;
  readonly pids: Readonly<Record<string, number>>;
}): StackFile {
  const { endpoint, bucket } = addresses.objectStore;
  return {
    url: addresses.url,
    adminToken: keys.adminToken,
    temporal: { address: addresses.temporalAddress, namespace: temporalNamespace, uiUrl: addresses.temporalUiUrl },
    postgres: { url: addresses.postgresUrl },
    objectStore: { endpoint, bucket },
    instances: managedInstances.map(({ name }) => ({ name, registryUrl: `http://127.0.0.1:${ports[name]}` })),
    pids: { supervisor: process.pid, ...pids },
    sample: { gitUrl: addresses.gitUrl, receiverUrl: addresses.receiverUrl },
  };
}

/** Written whole, readable by its owner only. */
export async function writeStackFile(home: string, file: StackFile): Promise<void> {
  const path = join(home, 'stack.json');
  await writeFile(`${path}.new`, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export async function removeStackFile(home: string): Promise<void> {
  await rm(join(home, 'stack.json'), { force: true });
}
