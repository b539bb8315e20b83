import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claimFolder, noteUse, pruneFolders, slotFolder } from '../../activities/drivers/build-folders.ts';

const longAgo = new Date(0);
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-folders-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function slotUsed(namespaceId: string, hour: number): Promise<string> {
  const path = slotFolder(folder, { namespaceId, index: 0 });
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'cache'), 'layers');
  await noteUse(path, new Date(Date.UTC(2026, 10, 21, hour)));
  return path;
}

describe('dropping old caches', () => {
  test('nothing is dropped while the disk has room', async () => {
    await slotUsed('acme', 9);
    expect(await pruneFolders(folder, { inUse: [], minFreeBytes: 0, unusedSince: longAgo })).toEqual([]);
    expect(await readdir(folder)).toEqual(['acme']);
  });

  test('the least recently used goes first, and what is in use stays', async () => {
    const [newest, oldest, used] = [await slotUsed('new', 12), await slotUsed('old', 9), await slotUsed('used', 8)];
    const dropped = await pruneFolders(folder, {
      inUse: [used],
      minFreeBytes: Number.MAX_SAFE_INTEGER,
      unusedSince: longAgo,
    });
    expect(dropped).toEqual([oldest, newest]);
    expect(await readdir(join(folder, 'used'))).toEqual(['0']);
  });

  test('what nobody used for long is dropped whatever room there is', async () => {
    const [forgotten] = [await slotUsed('old', 9), await slotUsed('new', 12)];
    const unusedSince = new Date(Date.UTC(2026, 10, 21, 10));
    expect(await pruneFolders(folder, { inUse: [], minFreeBytes: 0, unusedSince })).toEqual([forgotten]);
  });
});

describe('owning the folder', () => {
  test('it is not given to a second worker while the first lives', async () => {
    const other = spawn('sleep', ['60']);
    try {
      const stat = await readFile(`/proc/${other.pid}/stat`, 'utf8');
      const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      await writeFile(join(folder, 'owner'), `${other.pid} ${ticks}`);
      await expect(claimFolder(folder)).rejects.toThrow(/builds in .* already: give each worker a SLIPWAY_BUILD_DIR/);
    } finally {
      other.kill('SIGKILL');
      await once(other, 'close');
    }
    const giveBack = await claimFolder(folder);
    await giveBack();
    expect(await readdir(folder)).toEqual([]);
  });

  test('a process that only has the id of a dead one does not hold it', async () => {
    await writeFile(join(folder, 'owner'), `1 99999999999`);
    await claimFolder(folder);
    expect(await readFile(join(folder, 'owner'), 'utf8')).toMatch(new RegExp(`^${process.pid} \\d+$`));
  });
});
