import { chmod, cp, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryCommand } from './command.ts';
import { StackError } from './stack-error.ts';
import { gitUser, sampleRepository } from './sample-names.ts';
import type { SampleHook } from './sample-chain.ts';

const PUSH_TIMEOUT_MS = 60_000;

/** Tells the sample's git host where to report pushes. */
export async function writeHook(home: string, hook: SampleHook): Promise<void> {
  const hooks = { [`${sampleRepository.namespace}/${sampleRepository.name}`]: hook };
  await mkdir(join(home, 'git'), { recursive: true });
  await writeFile(join(home, 'git', 'hooks.json'), JSON.stringify(hooks), { mode: 0o600 });
}

/** Where the user's own checkout of the sample is. */
function sampleCheckout(home: string): string {
  return join(home, 'sample', sampleRepository.name);
}

/**
 * The sample's checkout, with a first commit, ready for `git push`: it knows the login of the sample's git host. Made once; a
 * later start only corrects the address.
 */
export async function prepareCheckout(
  home: string,
  { gitUrl, password }: { readonly gitUrl: string; readonly password: string },
): Promise<string> {
  const folder = sampleCheckout(home);
  if (!(await stat(join(folder, '.git', 'complete')).catch(() => undefined))) {
    await rm(folder, { recursive: true, force: true });
    await cp(join(import.meta.dirname, 'sample', 'app'), folder, { recursive: true });
    await git(folder, ['init', '--initial-branch=main']);
    await chmod(join(folder, '.git', 'config'), 0o600);
    await git(folder, ['config', 'user.name', 'Sample']);
    await git(folder, ['config', 'user.email', 'sample@slipway.invalid']);
    await git(folder, ['add', '--all']);
    await git(folder, ['commit', '--message', 'Open the chandlery']);
    await writeFile(join(folder, '.git', 'complete'), '');
  }
  const origin = `${gitUrl}/${sampleRepository.namespace}/${sampleRepository.name}.git`;
  await git(folder, ['config', 'remote.origin.url', origin]);
  await git(folder, ['config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*']);
  const login = Buffer.from(`${gitUser}:${password}`).toString('base64');
  await git(folder, ['config', 'http.extraHeader', `Authorization: Basic ${login}`]);
  return folder;
}

/** The commit the first run is of; pushing what is there already does nothing. */
export async function pushCheckout(folder: string): Promise<string> {
  await git(folder, ['push', '--set-upstream', 'origin', 'main']);
  return (await git(folder, ['rev-parse', 'HEAD'])).trim();
}

async function git(folder: string, args: readonly string[]): Promise<string> {
  const { isOk, stdout, stderr } = await tryCommand('git', ['-C', folder, ...args], { timeoutMs: PUSH_TIMEOUT_MS });
  if (!isOk) throw new StackError(`git ${args[0]} of the sample failed: ${stderr.trim()}`);
  return stdout;
}
