import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { limits } from '../../domain/limits.ts';
import { plainText } from '../../domain/plain-text.ts';
import { SourceError } from '../../domain/source-error.ts';
import type { GitRun } from './git.ts';
import { ProcessFailed } from './process.ts';

const timeoutMs = 5 * 60_000;
/** Time, author, and so much of the message. */
const commitLines = 200;
const dockerfileName = /^(.+\.)?(dockerfile|containerfile)(\..+)?$/i;
/** An id for who "commits" the context; never seen by anyone. */
const nobody = { GIT_AUTHOR_NAME: 'slipway', GIT_AUTHOR_EMAIL: 'slipway@localhost' };

export interface ContextInput {
  /** Where `commitClone` put the objects. */
  readonly directory: string;
  readonly commit: string;
  /** Inside the source; empty or `/` is its root. */
  readonly contextDirectory: string;
  /** Name, or path inside the context. */
  readonly dockerfile: string;
  /** Written: the tar. */
  readonly file: string;
  readonly signal: AbortSignal;
}

/** The context as a tar; the same commit and paths give the same bytes. */
export interface ContextArchive {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly files: number;
  /** When the commit was made, RFC 3339. */
  readonly commitTime: string;
  /** What the commit says of itself, unverified. */
  readonly message: string | null;
  readonly author: string | null;
}

interface TreeEntry {
  readonly mode: string;
  readonly hash: string;
  readonly name: string;
}

const modes = { directory: '040000', link: '120000', submodule: '160000' };

/** Looks at every component of the paths in git's own trees, where a link is only an entry, before any file exists. */
export async function archiveContext(run: GitRun, input: ContextInput): Promise<ContextArchive> {
  const { directory, commit, file, signal } = input;
  const git: ContextGit = (args, { stop, ...options } = {}) => {
    const stopped = stop === undefined ? signal : AbortSignal.any([signal, stop]);
    return run(['-C', directory, ...args], { signal: stopped, timeoutMs, ...options });
  };
  const [tree, { seconds, message, author }] = await inOrder([findContext(git, input), readCommit(git, commit)]);
  const [, files, dated] = await inOrder([
    checkDockerfile(git, { ...input, tree }),
    checkSize(git, tree),
    dateTree(git, { tree, seconds }),
  ]);
  await writeArchive(git, { commit: dated, file });
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal });
  const { size } = await stat(file);
  return {
    sha256: hash.digest('hex'),
    sizeBytes: size,
    files,
    commitTime: new Date(seconds * 1000).toISOString(),
    message,
    author,
  };
}

type ContextGit = (
  args: readonly string[],
  options?: { env?: Readonly<Record<string, string>>; onStdoutLine?: (line: string) => void; stop?: AbortSignal },
) => Promise<string>;

/** All at once; of several that fail the first one tells why, however long it took. */
async function inOrder<const Works extends readonly Promise<unknown>[]>(
  works: Works,
): Promise<{ -readonly [Index in keyof Works]: Awaited<Works[Index]> }> {
  const ends = await Promise.allSettled(works);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return Promise.all(works);
}

/** An archive of a bare tree is dated "now"; one of a commit of it at the source's own time has the same bytes each time. */
async function dateTree(git: ContextGit, { tree, seconds }: { tree: string; seconds: number }): Promise<string> {
  const date = `@${seconds} +0000`;
  const committer = { GIT_COMMITTER_NAME: nobody.GIT_AUTHOR_NAME, GIT_COMMITTER_EMAIL: nobody.GIT_AUTHOR_EMAIL };
  const env = { ...nobody, ...committer, GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date };
  return (await git(['commit-tree', '-m', 'context', tree], { env })).trim();
}

/** Of a message of any length only the beginning is kept. */
async function readCommit(
  git: ContextGit,
  commit: string,
): Promise<{ seconds: number } & Pick<ContextArchive, 'message' | 'author'>> {
  const lines: string[] = [];
  const onStdoutLine = (line: string): void => {
    if (lines.length < commitLines) lines.push(line);
  };
  await git(['show', '--no-patch', '--format=%ct%n%an%n%B', commit], { onStdoutLine });
  const [time = '', author, ...message] = lines;
  return { seconds: commitSeconds(time), author: plainText(author), message: plainText(message.join('\n').trimEnd()) };
}

/** The context's tree. */
async function findContext(git: ContextGit, input: ContextInput): Promise<string> {
  const parts = partsOf(input.contextDirectory);
  let tree = (await git(['rev-parse', '--verify', '--end-of-options', `${input.commit}^{tree}`])).trim();
  for (const [index, part] of parts.entries()) {
    const path = parts.slice(0, index + 1).join('/');
    const entry = (await listTree(git, tree)).find(({ name }) => name === part);
    if (entry === undefined) throw await contextMissing(git, input);
    refuseLink(entry, path);
    if (entry.mode !== modes.directory) throw contextIsFile(path, input);
    tree = entry.hash;
  }
  return tree;
}

async function checkDockerfile(git: ContextGit, input: ContextInput & { readonly tree: string }): Promise<void> {
  const parts = partsOf(input.dockerfile);
  let tree = input.tree;
  for (const [index, part] of parts.entries()) {
    const entry = (await listTree(git, tree)).find(({ name }) => name === part);
    if (entry === undefined) throw await dockerfileMissing(git, input);
    refuseLink(entry, [...partsOf(input.contextDirectory), ...parts.slice(0, index + 1)].join('/'));
    const isLast = index === parts.length - 1;
    if (isLast === (entry.mode === modes.directory)) throw await dockerfileMissing(git, input);
    tree = entry.hash;
  }
}

async function checkSize(git: ContextGit, tree: string): Promise<number> {
  let files = 0;
  let sizeBytes = 0;
  let tooLong: string | undefined;
  const stopping = new AbortController();
  const onStdoutLine = (line: string): void => {
    const [, size = '0', path = ''] = /^\S+ \S+ \S+ +(\S+)\t(.*)$/.exec(line) ?? [];
    files += 1;
    sizeBytes += Number(size) || 0;
    if (!isPathTooLong(path)) return;
    tooLong ??= path;
    // Folders in folders without end take time without end.
    stopping.abort();
  };
  await git(['ls-tree', '-r', '-l', tree], { onStdoutLine, stop: stopping.signal }).catch((error: unknown) => {
    throw tooLong === undefined ? error : pathTooLong(tooLong);
  });
  if (tooLong !== undefined) throw pathTooLong(tooLong);
  if (files <= limits.checkoutFiles && sizeBytes <= limits.checkoutBytes) return files;
  throw tooLarge({ files, sizeBytes });
}

/** git writes names with odd bytes in quotes, each such byte by an escape. */
function isPathTooLong(quoted: string): boolean {
  const path = quoted.startsWith('"') ? quoted.slice(1, -1).replaceAll(/\\(?:[0-7]{3}|.)/g, 'x') : quoted;
  if (path.length <= limits.checkoutNameBytes) return false;
  return (
    path.length > limits.checkoutPathBytes || path.split('/').some((name) => name.length > limits.checkoutNameBytes)
  );
}

function pathTooLong(path: string): SourceError {
  const text = `The context holds a path that no file system takes ("${path.slice(0, 60)}…"): it may have ${limits.checkoutPathBytes} bytes, and ${limits.checkoutNameBytes} in one name. Shorten it, or build from another directory.`;
  return new SourceError('build.source_too_large', text, { params: { limit: limits.checkoutPathBytes } });
}

async function writeArchive(git: ContextGit, { commit, file }: { commit: string; file: string }): Promise<void> {
  try {
    await git(['archive', '--format=tar', `--output=${file}`, commit]);
  } catch (error) {
    const isWall =
      error instanceof ProcessFailed && (error.exit === 'SIGXFSZ' || /File too large/.test(error.stderrTail));
    throw isWall ? tooLarge({}) : error;
  }
}

async function listTree(git: ContextGit, tree: string): Promise<readonly TreeEntry[]> {
  const output = await git(['ls-tree', '-z', tree]);
  return output.split('\0').flatMap((line) => {
    const [, mode, hash, name] = /^(\d{6}) \w+ ([0-9a-f]+)\t(.*)$/s.exec(line) ?? [];
    return mode === undefined || hash === undefined || name === undefined ? [] : [{ mode, hash, name }];
  });
}

function refuseLink(entry: TreeEntry, path: string): void {
  if (entry.mode !== modes.link && entry.mode !== modes.submodule) return;
  const kind = entry.mode === modes.link ? 'a symbolic link' : 'a submodule';
  throw new SourceError(
    'build.context_link_refused',
    `"${path}" is ${kind}; Slipway follows none on the way to a Dockerfile. Name the directory and the file themselves in the build rule.`,
    { params: { path } },
  );
}

async function contextMissing(git: ContextGit, input: ContextInput): Promise<SourceError> {
  const path = partsOf(input.contextDirectory).join('/');
  const found = (await findDockerfiles(git, input.commit))[0];
  return new SourceError(
    'build.context_missing',
    `The commit ${input.commit.slice(0, 12)} has no directory "${path}". ${found === undefined ? 'Correct the context directory of the build rule; the commit holds no Dockerfile at all.' : enter(found)}`,
    { params: { path, commit: input.commit, ...(found === undefined ? {} : { found }) } },
  );
}

function contextIsFile(path: string, input: ContextInput): SourceError {
  return new SourceError(
    'build.context_missing',
    `"${path}" is a file in the commit ${input.commit.slice(0, 12)}; the context directory goes without the Dockerfile's name. ${enter(path)}`,
    { params: { path, commit: input.commit, found: path } },
  );
}

async function dockerfileMissing(git: ContextGit, input: ContextInput & { tree: string }): Promise<SourceError> {
  const context = partsOf(input.contextDirectory).join('/');
  const path = [...partsOf(input.contextDirectory), ...partsOf(input.dockerfile)].join('/');
  const found = (await findDockerfiles(git, input.tree))[0];
  const advice =
    found === undefined
      ? `The directory "${context === '' ? '/' : context}" holds no Dockerfile at all: add one, or correct the build rule.`
      : `There is "${found}": enter that as the Dockerfile of the build rule.`;
  return new SourceError(
    'build.dockerfile_missing',
    `The commit ${input.commit.slice(0, 12)} has no file "${path}". ${advice}`,
    { params: { path, commit: input.commit, ...(found === undefined ? {} : { found }) } },
  );
}

/** Paths that look like Dockerfiles, those nearest to the root first. */
async function findDockerfiles(git: ContextGit, tree: string): Promise<readonly string[]> {
  const paths = (await git(['ls-tree', '-r', '-z', '--name-only', tree])).split('\0');
  return paths
    .filter((path) => dockerfileName.test(path.slice(path.lastIndexOf('/') + 1)))
    .toSorted((a, b) => a.split('/').length - b.split('/').length);
}

function enter(path: string): string {
  const slash = path.lastIndexOf('/');
  return `Enter the context directory "${slash < 0 ? '/' : path.slice(0, slash)}" and the Dockerfile "${path.slice(slash + 1)}".`;
}

function tooLarge({ files, sizeBytes }: { files?: number; sizeBytes?: number }): SourceError {
  const isFiles = files !== undefined && files > limits.checkoutFiles;
  return new SourceError(
    'build.source_too_large',
    isFiles
      ? `The context holds ${files} files; ${limits.checkoutFiles} are allowed. Build from a smaller directory.`
      : 'The context is larger than 1 GiB. Build from a smaller directory, or take large files out of the commit.',
    {
      params: isFiles
        ? { files, limit: limits.checkoutFiles }
        : { sizeBytes: sizeBytes ?? 0, limit: limits.checkoutBytes },
    },
  );
}

/** The time a commit claims is the author's to choose: what no calendar holds becomes 1970. */
function commitSeconds(output: string): number {
  const seconds = Number(output.trim());
  return Number.isSafeInteger(seconds) && seconds >= 0 && seconds < 253_402_300_800 ? seconds : 0;
}

function partsOf(path: string): readonly string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
