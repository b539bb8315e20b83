import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** One entry of a commit: content, or a link's target, or a submodule's commit. */
export type CommitEntry =
  | string
  | { readonly content: string | Uint8Array; readonly isExecutable?: boolean }
  | { readonly link: string }
  | { readonly submodule: string };

export interface CommitOptions {
  readonly branch?: string;
  /** Starts a history of its own, as a force-push does. */
  readonly isOrphan?: boolean;
  readonly message?: string;
  /** Seconds since 1970. */
  readonly at?: number;
}

/** A bare repository whose trees are written by git's plumbing, so that a test can put into them what no client would. */
export interface GitRepository {
  readonly folder: string;
  commit(entries: Readonly<Record<string, CommitEntry>>, options?: CommitOptions): Promise<string>;
  git(...args: string[]): Promise<string>;
}

/** A folder of bare repositories for a git server; remove it with `remove`. */
export async function createGitRoot(): Promise<{
  root: string;
  repository: (path: string) => Promise<GitRepository>;
  remove: () => Promise<void>;
}> {
  const root = await mkdtemp(join(tmpdir(), 'slipway-git-'));
  return {
    root,
    repository: (path) => createRepository(join(root, `${path}.git`)),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

async function createRepository(folder: string): Promise<GitRepository> {
  await mkdir(dirname(folder), { recursive: true });
  const env = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
  };
  const run = async (
    args: readonly string[],
    { input = '', more = {} }: { input?: string | Uint8Array; more?: Readonly<Record<string, string>> } = {},
  ): Promise<string> => {
    const child = execute('git', ['-C', folder, ...args], { env: { ...env, ...more } });
    // Most commands read no input and may be gone before this is written.
    child.child.stdin?.on('error', () => undefined).end(input);
    return (await child).stdout.trim();
  };
  await mkdir(folder, { recursive: true });
  await run(['init', '--quiet', '--bare', '--initial-branch=main']);

  async function writeEntry(entry: CommitEntry): Promise<{ mode: string; hash: string }> {
    if (typeof entry === 'object' && 'submodule' in entry) return { mode: '160000', hash: entry.submodule };
    const content = typeof entry === 'string' ? entry : 'link' in entry ? entry.link : entry.content;
    const hash = await run(['hash-object', '-w', '--stdin'], { input: content });
    if (typeof entry === 'object' && 'link' in entry) return { mode: '120000', hash };
    return { mode: typeof entry === 'object' && entry.isExecutable === true ? '100755' : '100644', hash };
  }

  return {
    folder,
    git: (...args) => run(args),
    async commit(entries, { branch = 'main', isOrphan = false, message = 'change', at = 1_700_000_000 } = {}) {
      const index = join(folder, `index-${process.hrtime.bigint()}`);
      const more = { GIT_INDEX_FILE: index };
      for (const [path, entry] of Object.entries(entries)) {
        const { mode, hash } = await writeEntry(entry);
        await run(['update-index', '-z', '--index-info'], { input: `${mode} ${hash}\t${path}\0`, more });
      }
      const tree = await run(['write-tree', '--missing-ok'], { more });
      const tip = await run(['rev-parse', '--quiet', '--verify', `refs/heads/${branch}`]).catch(() => '');
      const parents = tip === '' || isOrphan ? [] : ['-p', tip];
      const date = `@${at} +0000`;
      const commit = await run(['commit-tree', ...parents, '-m', message, tree], {
        more: { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
      });
      await run(['update-ref', `refs/heads/${branch}`, commit]);
      await rm(index, { force: true });
      return commit;
    },
  };
}
