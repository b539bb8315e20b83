import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { tryCommand } from './command.ts';
import { startGitServer } from './git-server.ts';
import { gitUser, sampleRepository } from './sample-names.ts';

/**
 * `SLIPWAY_GIT_PASSWORD=… node stack/sample-git.ts --port <port> --folder <folder>`: the sample's git host. Pushes to it are
 * reported to Slipway by a post-receive hook, signed, in GitHub's shape (`post-receive.ts`).
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { port: { type: 'string' }, folder: { type: 'string' } } });
  const password = process.env['SLIPWAY_GIT_PASSWORD'];
  if (values.port === undefined || values.folder === undefined || password === undefined) {
    throw new Error('--port, --folder and SLIPWAY_GIT_PASSWORD are required');
  }
  const root = join(values.folder, 'repositories');
  await createRepository(join(root, sampleRepository.namespace, `${sampleRepository.name}.git`), values.folder);
  const server = await startGitServer({
    root,
    port: Number(values.port),
    path: process.env['PATH'] ?? '',
    login: { username: gitUser, password },
  });
  process.once('SIGTERM', () => void server.close());
}

/** A bare repository that takes pushes and has the hook; made anew only if it is not there. */
async function createRepository(repository: string, folder: string): Promise<void> {
  if (!(await stat(join(repository, 'HEAD')).catch(() => undefined))) {
    await mkdir(dirname(repository), { recursive: true });
    const made = await tryCommand('git', ['init', '--bare', '--initial-branch=main', repository]);
    if (!made.isOk) throw new Error(`git init failed: ${made.stderr}`);
  }
  for (const setting of ['http.receivepack=true', 'uploadpack.allowReachableSHA1InWant=true']) {
    const [name = '', value = ''] = setting.split('=');
    await tryCommand('git', ['-C', repository, 'config', name, value]);
  }
  // Paths are written anew at each start: the checkout may have moved.
  const hook = join(repository, 'hooks', 'post-receive');
  const script = join(import.meta.dirname, 'post-receive.ts');
  await writeFile(hook, `#!/bin/sh\nexec "${process.execPath}" "${script}" "${join(folder, 'hooks.json')}"\n`);
  await chmod(hook, 0o755);
}

process.env['PATH'] = [process.env['PATH'], '/usr/bin', '/bin'].join(delimiter);
await main();
