import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGit } from '../../activities/drivers/git.ts';
import type { ContextArchive } from '../../activities/drivers/git-context.ts';
import { type GitServer, startGitServer } from '../../stack/git-server.ts';
import { createGitRoot } from '../support/git-repository.ts';

const execute = promisify(execFile);
const path = process.env['PATH'] ?? '/usr/bin:/bin';
const git = createGit({ path, isHttpAllowed: true });
const signal = new AbortController().signal;

let root: Awaited<ReturnType<typeof createGitRoot>>;
let server: GitServer;
let work: string;

beforeAll(async () => {
  root = await createGitRoot();
  server = await startGitServer({ root: root.root, path, login: null });
  work = await mkdtemp(join(tmpdir(), 'slipway-context-'));
});
afterAll(async () => {
  await server.close();
  await root.remove();
  await rm(work, { recursive: true, force: true });
});

interface Archived extends ContextArchive {
  readonly listing: readonly string[];
  readonly folder: string;
}

async function archive(
  name: string,
  {
    commit,
    contextDirectory = '/',
    dockerfile = 'Dockerfile',
  }: { commit: string; contextDirectory?: string; dockerfile?: string },
): Promise<Archived> {
  const directory = join(await mkdtemp(join(work, 'checkout-')), 'clone');
  const url = `${server.url}/${name}.git`;
  await git.commitClone({ url, commit, ref: 'main', credential: null, directory, signal, timeoutMs: 60_000 });
  const file = `${directory}.tar`;
  const archived = await git.contextArchive({ directory, commit, contextDirectory, dockerfile, file, signal });
  const { stdout } = await execute('tar', ['-tf', file]);
  const folder = await mkdtemp(join(work, 'context-'));
  await execute('tar', ['-xf', file, '-C', folder]);
  return { ...archived, listing: stdout.split('\n').filter(Boolean), folder };
}

describe('archiving the context', () => {
  test('the context directory becomes the root, with modes kept and the commit’s time', async () => {
    const repository = await root.repository('shop/mono');
    const commit = await repository.commit(
      {
        'README.md': 'outside',
        'apps/api/Dockerfile': 'FROM scratch\n',
        'apps/api/run.sh': { content: '#!/bin/sh\n', isExecutable: true },
        'apps/api/latest': { link: 'run.sh' },
      },
      { at: 1_600_000_000, message: 'Add the API\n\nIt answers.\n' },
    );
    const archived = await archive('shop/mono', { commit, contextDirectory: '/apps//api/' });
    expect(archived.listing).toEqual(['Dockerfile', 'latest', 'run.sh']);
    expect(archived).toMatchObject({
      files: 3,
      commitTime: '2020-09-13T12:26:40.000Z',
      message: 'Add the API\n\nIt answers.',
      author: 'Ada',
    });
    const run = await stat(join(archived.folder, 'run.sh'));
    expect([run.mode & 0o777, run.mtimeMs]).toEqual([0o755, 1_600_000_000_000]);
  });

  test('of a message without end the beginning is kept, as text a database takes', async () => {
    const repository = await root.repository('shop/novel');
    const message = `${'x'.repeat(5_000)}\n${'line\n'.repeat(5_000)}`;
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' }, { message });
    expect((await archive('shop/novel', { commit })).message).toBe('x'.repeat(2_000));
  });

  test('the same commit gives the same bytes', async () => {
    const repository = await root.repository('shop/same');
    const commit = await repository.commit({ 'app/Dockerfile': 'FROM scratch\n' });
    const first = await archive('shop/same', { commit, contextDirectory: 'app' });
    const second = await archive('shop/same', { commit, contextDirectory: 'app' });
    expect(second.sha256).toBe(first.sha256);
  });

  test('git-hostile-repos, attributes: those of the repository neither leave files out nor rewrite them', async () => {
    const repository = await root.repository('shop/attributes');
    const commit = await repository.commit({
      '.gitattributes': 'secret.txt export-ignore\nversion.txt export-subst\n* filter=evil eol=crlf\n',
      Dockerfile: 'FROM scratch\n',
      'secret.txt': 'still here',
      'version.txt': '$Format:%H$',
    });
    const { listing, folder } = await archive('shop/attributes', { commit });
    expect(listing).toEqual(['.gitattributes', 'Dockerfile', 'secret.txt', 'version.txt']);
    expect(await readFile(join(folder, 'version.txt'), 'utf8')).toBe('$Format:%H$');
  });

  test('names that look like options or patterns are only names', async () => {
    const repository = await root.repository('shop/names');
    const commit = await repository.commit({
      '-rf/--output=x/Dockerfile': 'FROM scratch\n',
      '-rf/--output=x/*': 'star',
      '-rf/--output=x/new\nline': 'text',
    });
    const { listing } = await archive('shop/names', { commit, contextDirectory: '-rf/--output=x' });
    expect(listing).toHaveLength(3);
    await expect(archive('shop/names', { commit, contextDirectory: '-rf/*' })).rejects.toMatchObject({
      code: 'build.context_missing',
    });
  });

  test.for([
    ['directory', 'a linked context directory', { contextDirectory: 'linked' }, 'linked'],
    ['way', 'a link on the way to it', { contextDirectory: 'linked/deeper' }, 'linked'],
    ['dockerfile', 'a linked Dockerfile', { contextDirectory: 'app' }, 'app/Dockerfile'],
    ['submodule', 'a submodule as the context', { contextDirectory: 'vendor' }, 'vendor'],
  ] as const)('git-hostile-repos, %s: %s is refused before a file exists', async ([name, , paths, refused]) => {
    const repository = await root.repository(`hostile/${name}`);
    const commit = await repository.commit({
      Dockerfile: 'FROM scratch\n',
      linked: { link: '/etc' },
      'app/Dockerfile': { link: '/etc/passwd' },
      vendor: { submodule: 'd4ef3dc3b77a011a5779eec7efdd45f1ccab0a01' },
    });
    await expect(archive(`hostile/${name}`, { commit, ...paths })).rejects.toMatchObject({
      code: 'build.context_link_refused',
      isPermanent: true,
      params: { path: refused },
    });
  });

  test('a missing context directory is told with the place where a Dockerfile stands', async () => {
    const repository = await root.repository('shop/astray');
    const commit = await repository.commit({ 'deploy/docker/Dockerfile': 'FROM scratch\n', 'api/main.go': '' });
    await expect(archive('shop/astray', { commit, contextDirectory: 'app' })).rejects.toMatchObject({
      code: 'build.context_missing',
      params: { path: 'app', found: 'deploy/docker/Dockerfile' },
      message: `The commit ${commit.slice(0, 12)} has no directory "app". Enter the context directory "deploy/docker" and the Dockerfile "Dockerfile".`,
    });
  });

  test('a context directory that names the Dockerfile itself is told what to enter', async () => {
    const repository = await root.repository('shop/file');
    const commit = await repository.commit({ 'master/Dockerfile': 'FROM scratch\n' });
    await expect(archive('shop/file', { commit, contextDirectory: 'master/Dockerfile' })).rejects.toMatchObject({
      code: 'build.context_missing',
      message: `"master/Dockerfile" is a file in the commit ${commit.slice(0, 12)}; the context directory goes without the Dockerfile's name. Enter the context directory "master" and the Dockerfile "Dockerfile".`,
    });
  });

  test('a missing Dockerfile is told with the one that stands there', async () => {
    const repository = await root.repository('shop/lower');
    const commit = await repository.commit({ 'app/dockerfile.prod': 'FROM scratch\n' });
    await expect(archive('shop/lower', { commit, contextDirectory: 'app' })).rejects.toMatchObject({
      code: 'build.dockerfile_missing',
      params: { path: 'app/Dockerfile', found: 'dockerfile.prod' },
      message: `The commit ${commit.slice(0, 12)} has no file "app/Dockerfile". There is "dockerfile.prod": enter that as the Dockerfile of the build rule.`,
    });
  });

  test('a commit without any Dockerfile is told that there is none', async () => {
    const repository = await root.repository('shop/none-at-all');
    const commit = await repository.commit({ 'main.go': '' });
    await expect(archive('shop/none-at-all', { commit })).rejects.toThrow('holds no Dockerfile at all');
  });

  test('git-hostile-repos, a huge tree: a context of more than 100,000 files is refused before it is written', async () => {
    const repository = await root.repository('shop/many');
    const blob = await repository.git('hash-object', '-w', '/dev/null');
    // Ten trees of ten trees of ... share one blob: small to store, large to unpack.
    const tree = await manyFiles(repository.folder, blob);
    const commit = await repository.git('commit-tree', '-m', 'many', tree);
    await repository.git('update-ref', 'refs/heads/main', commit);
    await expect(archive('shop/many', { commit })).rejects.toMatchObject({
      code: 'build.source_too_large',
      message: 'The context holds 1000001 files; 100000 are allowed. Build from a smaller directory.',
    });
  });

  test('a context of more than 1 GiB is refused before it is written', async () => {
    const repository = await root.repository('shop/large');
    const blob = (
      await execute('bash', ['-c', 'head -c 60000000 /dev/zero | git hash-object -w --stdin'], {
        cwd: repository.folder,
      })
    ).stdout.trim();
    const tree = await treeOf(repository.folder, [
      `100644 blob ${blob}\tDockerfile`,
      ...Array.from({ length: 19 }, (_, index) => `100644 blob ${blob}\tzeros-${index}`),
    ]);
    const commit = await repository.git('commit-tree', '-m', 'large', tree);
    await repository.git('update-ref', 'refs/heads/main', commit);
    await expect(archive('shop/large', { commit })).rejects.toMatchObject({
      code: 'build.source_too_large',
      params: { sizeBytes: 1_200_000_000 },
    });
  });
});

async function treeOf(folder: string, entries: readonly string[]): Promise<string> {
  const child = execute('git', ['-C', folder, 'mktree']);
  child.child.stdin?.end(`${entries.join('\n')}\n`);
  return (await child).stdout.trim();
}

async function manyFiles(folder: string, blob: string): Promise<string> {
  const names = Array.from({ length: 100 }, (_, index) => `n${String(index).padStart(2, '0')}`);
  const files = await treeOf(
    folder,
    names.map((name) => `100644 blob ${blob}\t${name}`),
  );
  const folders = await treeOf(
    folder,
    names.map((name) => `040000 tree ${files}\t${name}`),
  );
  return treeOf(folder, [`100644 blob ${blob}\tDockerfile`, ...names.map((name) => `040000 tree ${folders}\t${name}`)]);
}
