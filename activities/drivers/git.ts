import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../../domain/limits.ts';
import type { HostTips } from '../../domain/late-push.ts';
import type { HostRef } from '../../domain/reconcile.ts';
import { SourceError } from '../../domain/source-error.ts';
import { archiveContext, type ContextArchive, type ContextInput } from './git-context.ts';
import { addressWithoutLogin, branchMissing, gitErrorOf } from './git-errors.ts';
import { listRefs, readRefs } from './git-refs.ts';
import {
  findHeadBranch,
  listTree,
  testClone,
  withAuthority,
  type RemoteEntry,
  type RemoteLogin,
} from './git-remote.ts';
import { ProcessFailed, runProcess } from './process.ts';

const memoryBytes = 1024 * 1024 * 1024;
const lsRemoteTimeoutMs = 30_000;

export interface GitOptions {
  /** Where `git` and `prlimit` are found. */
  readonly path: string;
  /** Whether plain http is spoken too; for source hosts on this machine. */
  readonly isHttpAllowed: boolean;
  /** The proxy every connection goes through. */
  readonly egressProxy?: string;
}

/** Login at a source host; sent as a header of our own, never in an address, an argument or a file. */
export interface GitCredential {
  readonly username: string;
  readonly password: string;
}

interface Remote {
  readonly credential: GitCredential | null;
  /** Authority (PEM) of a host on a private network. */
  readonly caCertificate?: string | null;
  readonly signal: AbortSignal;
}

export interface CloneInput extends Remote {
  readonly url: string;
  /** The whole id. */
  readonly commit: string;
  /** Branch or tag the commit was seen on, without `refs/…/`. */
  readonly ref: string;
  /** Created; must not exist. */
  readonly directory: string;
  readonly timeoutMs: number;
}

/** git for sources nobody has vouched for (docs/product.md, section 5): no hook, filter, submodule, link or foreign configuration takes part. */
export interface Git {
  /** The commit of `refs/heads/…` or `refs/tags/…` (an annotated tag's commit), or undefined when there is no such ref. */
  refResolve(url: string, ref: string, remote: Remote): Promise<string | undefined>;
  /** Every branch and tag. @throws SourceError, `source.too_many_refs` beyond `limits.refsPerSource` */
  refsList(url: string, remote: Remote): Promise<readonly HostRef[]>;
  /** The named refs (`refs/heads/…`, `refs/tags/…`) by their names; one that is not there is left out. @throws SourceError */
  refsRead(url: string, fullRefs: readonly string[], remote: Remote): Promise<HostTips>;
  /** What stands in a directory at `refs/heads/…` or `refs/tags/…`; undefined when it is no directory there. @throws SourceError */
  treeList(
    url: string,
    place: { readonly ref: string; readonly path: string },
    remote: Remote,
  ): Promise<readonly RemoteEntry[] | undefined>;
  /** Fetches the newest commit and throws it away; an empty source is in order. @throws SourceError */
  cloneTest(url: string, remote: Remote): Promise<void>;
  /** The branch HEAD names, or undefined where the host does not say. @throws SourceError */
  headBranch(url: string, remote: Remote): Promise<string | undefined>;
  /** Makes the commit's objects present in `directory`; checks nothing out. @throws SourceError */
  commitClone(input: CloneInput): Promise<void>;
  /** Writes the context of a cloned commit as a tar file. @throws SourceError */
  contextArchive(input: ContextInput): Promise<ContextArchive>;
}

/** What one command needs to log in, and what of it must show nowhere. */
export interface GitLogin {
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
}

/** Runs one git command and gives its output; `onStdoutLine` takes it by lines instead. @throws ProcessFailed */
export type GitRun = (args: readonly string[], options: GitRunOptions) => Promise<string>;

export interface GitRunOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly onStdoutLine?: (line: string) => void;
}

export function createGit(options: GitOptions): Git {
  const run = createRun(options);
  const loggedIn = <Result>(
    url: string,
    { credential, caCertificate = null, signal }: Remote,
    work: (login: RemoteLogin) => Promise<Result>,
  ): Promise<Result> => {
    const { env, secrets } = loginOf(url, credential);
    return withAuthority(caCertificate, (authority) => work({ url, env: { ...env, ...authority }, secrets, signal }));
  };
  return {
    refResolve: async (url, ref, remote) => loggedIn(url, remote, (login) => resolveRef(run, { ref, ...login })),
    refsList: async (url, remote) => loggedIn(url, remote, (login) => listRefs(run, login)),
    refsRead: async (url, fullRefs, remote) => loggedIn(url, remote, (login) => readRefs(run, { ...login, fullRefs })),
    treeList: async (url, place, remote) => loggedIn(url, remote, (login) => listTree(run, { ...place, ...login })),
    cloneTest: async (url, remote) => loggedIn(url, remote, (login) => testClone(run, login)),
    headBranch: async (url, remote) => loggedIn(url, remote, (login) => findHeadBranch(run, login)),
    commitClone: async (input) =>
      loggedIn(input.url, input, ({ env, secrets }) => cloneCommit(run, input, { env, secrets })),
    contextArchive: (input) => archiveContext(run, input),
  };
}

function createRun({ path, isHttpAllowed, egressProxy }: GitOptions): GitRun {
  const env = {
    PATH: path,
    LANG: 'C',
    HOME: '/nonexistent',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: isHttpAllowed ? 'https:http' : 'https',
    GIT_PROTOCOL_FROM_USER: '0',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_OPTIONAL_LOCKS: '0',
  };
  const configuration = [
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'core.sshCommand=/bin/false',
    'core.attributesFile=/dev/null',
    'credential.helper=',
    `http.proxy=${egressProxy ?? ''}`,
    'http.followRedirects=initial',
    'http.lowSpeedLimit=1000',
    'http.lowSpeedTime=30',
    'transfer.fsckObjects=true',
    'transfer.bundleURI=false',
    'fetch.recurseSubmodules=false',
    'submodule.recurse=false',
    'gc.auto=0',
    'maintenance.auto=false',
    'pack.threads=2',
    'tar.umask=0022',
  ].flatMap((setting) => ['-c', setting]);
  // The walls are the kernel's: a hostile pack can make git itself grow. Nothing it writes is larger than a checkout may be.
  const walls = [`--data=${memoryBytes}`, `--fsize=${limits.checkoutBytes}`, '--core=0', '--'];
  return async (args, { signal, timeoutMs, cwd, env: more = {}, secrets = [], onStdoutLine }) => {
    const output = await runProcess({
      command: 'prlimit',
      args: [...walls, 'git', ...configuration, ...args],
      env: { ...env, ...more },
      signal,
      timeoutMs,
      secrets,
      maxStdoutBytes: 32 * 1024 * 1024,
      ...(cwd === undefined ? {} : { cwd }),
      ...(onStdoutLine === undefined ? {} : { onStdoutLine }),
    });
    return output.stdout;
  };
}

async function resolveRef(
  run: GitRun,
  { url, ref, ...login }: RemoteLogin & { readonly ref: string },
): Promise<string | undefined> {
  try {
    const output = await run(['ls-remote', '--exit-code', '--', url, ref, `${ref}^{}`], {
      timeoutMs: lsRemoteTimeoutMs,
      ...login,
    });
    // A pattern also matches at the end of longer names.
    const commits = new Map(output.split('\n').map((line) => [line.split('\t')[1], line.split('\t')[0]]));
    return commits.get(`${ref}^{}`) ?? commits.get(ref);
  } catch (error) {
    if (error instanceof ProcessFailed && error.exit === 2) return undefined;
    throw gitErrorOf(error, { url, secrets: login.secrets });
  }
}

/** The tip at depth 1, as a branch has usually not moved; then the commit alone; then the whole branch. */
async function cloneCommit(run: GitRun, input: CloneInput, login: GitLogin): Promise<void> {
  const { url, commit, ref, directory, signal, timeoutMs } = input;
  const deadline = performance.now() + timeoutMs;
  const remoteRun = (args: readonly string[]): Promise<string> =>
    run(args, { signal, timeoutMs: Math.max(1, deadline - performance.now()), ...login });
  const inside = ['-C', directory];
  const fetchCommit = ['fetch', '--no-recurse-submodules', '--no-tags', '--depth=1', 'origin', commit];
  try {
    const isBranchThere = await cloneTip(remoteRun, { url, ref, directory });
    if (!isBranchThere) {
      await remoteRun(['init', '--quiet', '--template=', '--', directory]);
      await remoteRun([...inside, 'remote', 'add', '--', 'origin', url]);
    }
    if (await hasCommit(run, input)) return;
    // Hosts that refuse to serve a single commit may still have it in the branch's history.
    const isFetched = await succeeded(remoteRun([...inside, ...fetchCommit]));
    if (isFetched && (await hasCommit(run, input))) return;
    if (isBranchThere) {
      await remoteRun([...inside, 'fetch', '--no-recurse-submodules', '--no-tags', '--unshallow', 'origin']);
    }
  } catch (error) {
    throw gitErrorOf(error, { url, secrets: login.secrets });
  }
  if (await hasCommit(run, input)) return;
  throw new SourceError(
    'build.commit_missing',
    `The commit ${commit} is no longer in "${ref}" of ${addressWithoutLogin(url)}: it was force-pushed away or its branch deleted. Push again, or build the ref as it is now.`,
    { params: { commit, ref } },
  );
}

async function cloneTip(
  remoteRun: (args: readonly string[]) => Promise<string>,
  { url, ref, directory }: Pick<CloneInput, 'url' | 'ref' | 'directory'>,
): Promise<boolean> {
  const options = [
    '--no-recurse-submodules',
    '--single-branch',
    '--depth=1',
    '--no-tags',
    '--no-checkout',
    '--template=',
  ];
  try {
    await remoteRun(['clone', '--quiet', ...options, `--branch=${ref}`, '--', url, directory]);
    return true;
  } catch (error) {
    if (error instanceof ProcessFailed && branchMissing.test(error.stderrTail)) return false;
    throw error;
  } finally {
    // A repository's own attributes could leave files out of the archive, or have git rewrite them.
    await mkdir(join(directory, '.git/info'), { recursive: true });
    await writeFile(join(directory, '.git/info/attributes'), '* -export-ignore -export-subst\n');
  }
}

function hasCommit(run: GitRun, { directory, commit, signal }: CloneInput): Promise<boolean> {
  const args = ['-C', directory, 'cat-file', '-e', `${commit}^{commit}`];
  return succeeded(run(args, { signal, timeoutMs: lsRemoteTimeoutMs }));
}

/** Whether a command ended well; an abort is thrown on. */
async function succeeded(command: Promise<string>): Promise<boolean> {
  try {
    await command;
    return true;
  } catch (error) {
    if (error instanceof ProcessFailed) return false;
    throw error;
  }
}

function loginOf(url: string, credential: GitCredential | null): GitLogin {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new SourceError(
      'source.address_refused',
      'The code source is not an http or https address; Slipway clones from no other.',
    );
  }
  if (credential === null) return { env: {}, secrets: [] };
  const basic = Buffer.from(`${credential.username}:${credential.password}`).toString('base64');
  return {
    env: {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `http.${new URL(url).origin}/.extraHeader`,
      GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
    },
    secrets: [credential.password, basic],
  };
}
