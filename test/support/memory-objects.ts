import { Readable } from 'node:stream';
import { ObjectMissing } from '../../activities/drivers/object-store.ts';
import type { ObjectStore } from '../../activities/drivers/object-store.ts';

/** Objects kept in memory, for what only reads them; `put` fills it. */
export interface MemoryObjects extends Pick<ObjectStore, 'objectGet' | 'objectGetBytes'> {
  put(key: string, bytes: Uint8Array): void;
}

export function createMemoryObjects(): MemoryObjects {
  const objects = new Map<string, Uint8Array>();
  const get = async (key: string): Promise<Uint8Array> => {
    const bytes = objects.get(key);
    if (bytes === undefined) throw new ObjectMissing(`no object ${key}`);
    return bytes;
  };
  return {
    put: (key, bytes) => void objects.set(key, bytes),
    objectGet: async (key) => Readable.from([await get(key)]),
    objectGetBytes: get,
  };
}
