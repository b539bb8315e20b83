import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const programs = ['/bin/dash', '/bin/sleep', '/bin/cat', '/bin/mkdir', '/bin/date'];

/**
 * A tar of the smallest root file system that runs `RUN` steps: this machine's shell, a few programs, those of `more`, and their
 * libraries.
 */
export async function shellRootfs(more: readonly string[] = []): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-rootfs-'));
  try {
    for (const program of [...programs, ...more]) {
      const { stdout } = await run('ldd', [program]);
      const libraries = stdout.match(/\/\S+/g) ?? [];
      for (const file of [program, ...libraries]) {
        await mkdir(join(folder, dirname(file)), { recursive: true });
        await copyFile(file, join(folder, file));
      }
    }
    await symlink('dash', join(folder, 'bin/sh'));
    for (const name of ['proc', 'sys', 'dev', 'tmp', 'etc']) await mkdir(join(folder, name));
    const names = await readdir(folder);
    await run('tar', ['-cf', join(folder, 'rootfs.tar'), '-C', folder, ...names]);
    return await readFile(join(folder, 'rootfs.tar'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
