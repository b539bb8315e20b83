import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SourceError } from '../../domain/source-error.ts';
import { gitErrorOf } from './git-errors.ts';
import type { GitLogin, GitRun } from './git.ts';
import { ProcessFailed } from './process.ts';

const fetchTimeoutMs = 60_000;
const headTimeoutMs = 20_000;

/** What stands in a directory of a commit. */
export interface RemoteEntry {
  readonly name: string;
  readonly type: 'directory' | 'file' | 'link' | 'submodule';
}

/** One remote, logged in to; `env` also holds its authority. */
export interface RemoteLogin extends GitLogin {
  readonly url: string;
  readonly signal: AbortSignal;
}

/** Fetches the newest commit of the default branch and keeps nothing; an empty repository is in order. @throws SourceError */
export async function testClone(run: GitRun, login: RemoteLogin): Promise<void> {
  await inClone(run, login, async (clone) => {
    try {
      await clone(['fetch', '--quiet', '--depth=1', '--no-tags', '--filter=blob:none', 'origin', 'HEAD']);
    } catch (error) {
      const isEmpty = error instanceof ProcessFailed && /couldn't find remote ref HEAD/i.test(error.stderrTail);
      if (!isEmpty) throw error;
    }
  });
}

/** The branch HEAD names, or undefined where the host does not say: an empty repository, a detached HEAD. @throws SourceError */
export async function findHeadBranch(
  run: GitRun,
  { url, env, secrets, signal }: RemoteLogin,
): Promise<string | undefined> {
  try {
    const output = await run(['ls-remote', '--symref', '--', url, 'HEAD'], {
      timeoutMs: headTimeoutMs,
      env,
      secrets,
      signal,
    });
    return /^ref: refs\/heads\/(.+)\tHEAD$/m.exec(output)?.[1];
  } catch (error) {
    throw gitErrorOf(error, { url, secrets });
  }
}

/** The entries of a directory at a ref: only trees travel, no file does. @throws SourceError */
export async function listTree(
  run: GitRun,
  { ref, path, ...login }: RemoteLogin & { readonly ref: string; readonly path: string },
): Promise<readonly RemoteEntry[] | undefined> {
  return inClone(run, login, async (clone) => {
    try {
      await clone(['fetch', '--quiet', '--depth=1', '--no-tags', '--filter=blob:none', 'origin', '--', ref]);
    } catch (error) {
      if (error instanceof ProcessFailed && /couldn't find remote ref/i.test(error.stderrTail)) throw noRef(ref);
      throw error;
    }
    const tree = path === '' ? 'FETCH_HEAD^{tree}' : `FETCH_HEAD:${path}`;
    try {
      return entriesOf(await clone(['ls-tree', '-z', '--end-of-options', tree]));
    } catch (error) {
      if (error instanceof ProcessFailed && error.exit === 128) return undefined;
      throw error;
    }
  });
}

function entriesOf(output: string): readonly RemoteEntry[] {
  return output.split('\0').flatMap((line) => {
    const [, mode, name] = /^(\d{6}) \w+ [0-9a-f]+\t(.*)$/s.exec(line) ?? [];
    return mode === undefined || name === undefined ? [] : [{ name, type: typeOf(mode) }];
  });
}

function typeOf(mode: string): RemoteEntry['type'] {
  switch (mode) {
    case '040000':
      return 'directory';
    case '120000':
      return 'link';
    case '160000':
      return 'submodule';
    default:
      return 'file';
  }
}

function noRef(ref: string): SourceError {
  const name = ref.replace(/^refs\/(heads|tags)\//, '');
  return new SourceError(
    'source.ref_not_found',
    `The source has no branch or tag "${name}". Check its spelling, or choose one of the list.`,
    { params: { ref: name } },
  );
}

/** An empty repository with `origin`, gone afterwards. */
async function inClone<Result>(
  run: GitRun,
  { url, ...login }: RemoteLogin,
  work: (git: (args: readonly string[]) => Promise<string>) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-source-'));
  const git = (args: readonly string[]) => run(['-C', folder, ...args], { timeoutMs: fetchTimeoutMs, ...login });
  try {
    await git(['init', '--quiet', '--bare', '--template=', '--', '.']);
    await git(['remote', 'add', '--', 'origin', url]);
    return await work(git);
  } catch (error) {
    throw gitErrorOf(error, { url, secrets: login.secrets });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Gives git a private authority by a file that lives as long as `work`; without one the machine's hold. */
export async function withAuthority<Result>(
  caCertificate: string | null,
  work: (env: Readonly<Record<string, string>>) => Promise<Result>,
): Promise<Result> {
  if (caCertificate === null) return work({});
  const folder = await mkdtemp(join(tmpdir(), 'slipway-ca-'));
  try {
    const file = join(folder, 'ca.pem');
    await writeFile(file, caCertificate, { mode: 0o600 });
    return await work({ GIT_SSL_CAINFO: file });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
