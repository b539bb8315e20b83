import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGit, type GitCredential } from '../../activities/drivers/git.ts';
import { type GitServer, startGitServer } from '../../stack/git-server.ts';
import { createGitRoot } from '../support/git-repository.ts';

const execute = promisify(execFile);
const path = process.env['PATH'] ?? '/usr/bin:/bin';
const login = { username: 'ada', password: 'hunter2-hunter2' };
const git = createGit({ path, isHttpAllowed: true });
const signal = new AbortController().signal;

let root: Awaited<ReturnType<typeof createGitRoot>>;
let server: GitServer;
let work: string;
let folders = 0;

beforeAll(async () => {
  root = await createGitRoot();
  server = await startGitServer({ root: root.root, path, login });
  work = await mkdtemp(join(tmpdir(), 'slipway-checkout-'));
});
afterAll(async () => {
  await server.close();
  await root.remove();
  await rm(work, { recursive: true, force: true });
});

function newFolder(): string {
  folders += 1;
  return join(work, `checkout-${folders}`);
}

async function clone(
  name: string,
  { commit, ref = 'main', credential = login }: { commit: string; ref?: string; credential?: GitCredential | null },
): Promise<string> {
  const directory = newFolder();
  const url = `${server.url}/${name}.git`;
  await git.commitClone({ url, commit, ref, credential, directory, signal, timeoutMs: 30_000 });
  return directory;
}

describe('resolving a ref', () => {
  test('a branch gives its tip, an annotated tag the commit it names, a missing ref nothing', async () => {
    const repository = await root.repository('shop/refs');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    await repository.git('tag', '-a', '-m', 'release', 'v1', commit);
    const url = `${server.url}/shop/refs.git`;
    const remote = { credential: login, signal };
    expect(await git.refResolve(url, 'refs/heads/main', remote)).toBe(commit);
    expect(await git.refResolve(url, 'refs/tags/v1', remote)).toBe(commit);
    expect(await git.refResolve(url, 'refs/heads/none', remote)).toBeUndefined();
  });

  test('a branch whose name ends like another is not taken for it', async () => {
    const repository = await root.repository('shop/tails');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    await repository.git('update-ref', 'refs/heads/x/refs/heads/main2', commit);
    const url = `${server.url}/shop/tails.git`;
    expect(await git.refResolve(url, 'refs/heads/main2', { credential: login, signal })).toBeUndefined();
  });
});

describe('listing refs', () => {
  test('branches and tags are told with their commits, an annotated tag with the commit it names and its own object', async () => {
    const repository = await root.repository('shop/many');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    await repository.git('tag', '-a', '-m', 'release', 'v1', commit);
    await repository.git('tag', 'v0', commit);
    await repository.git('update-ref', 'refs/heads/feature/heads/x', commit);
    await repository.git('update-ref', 'refs/pull/1/head', commit);
    const tag = await repository.git('rev-parse', 'refs/tags/v1');
    expect(await git.refsList(`${server.url}/shop/many.git`, { credential: login, signal })).toEqual([
      { ref: 'feature/heads/x', refType: 'branch', commit, objectId: commit },
      { ref: 'main', refType: 'branch', commit, objectId: commit },
      { ref: 'v0', refType: 'tag', commit, objectId: commit },
      { ref: 'v1', refType: 'tag', commit, objectId: tag },
    ]);
  });

  test('an empty repository has none', async () => {
    await root.repository('shop/empty');
    expect(await git.refsList(`${server.url}/shop/empty.git`, { credential: login, signal })).toEqual([]);
  });

  test('more refs than are compared are refused by name', async () => {
    const repository = await root.repository('shop/crowd');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const lines = Array.from({ length: 20_001 }, (_, index) => `${commit} refs/tags/t${index}`);
    await writeFile(
      join(repository.folder, 'packed-refs'),
      `# pack-refs with: peeled fully-peeled sorted \n${lines.toSorted().join('\n')}\n`,
    );
    await expect(git.refsList(`${server.url}/shop/crowd.git`, { credential: login, signal })).rejects.toMatchObject({
      code: 'source.too_many_refs',
    });
  });
});

describe('cloning a commit', () => {
  test('the tip of a branch is cloned without its history', async () => {
    const repository = await root.repository('shop/web');
    await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\nLABEL a=b\n' });
    const directory = await clone('shop/web', { commit });
    const { stdout } = await execute('git', ['-C', directory, 'rev-list', '--all', '--count']);
    expect(stdout.trim()).toBe('1');
    expect(await readdir(directory)).toEqual(['.git']);
  });

  test('a commit the branch has moved on from is found in its history', async () => {
    const repository = await root.repository('shop/moved');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    await repository.commit({ Dockerfile: 'FROM scratch\nLABEL a=b\n' });
    await repository.git('config', 'uploadpack.allowReachableSHA1InWant', 'true');
    const directory = await clone('shop/moved', { commit });
    await expect(execute('git', ['-C', directory, 'cat-file', '-e', commit])).resolves.toBeDefined();
  });

  test('a host that serves no single commits still gives one of the branch’s history', async () => {
    const repository = await root.repository('shop/strict');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    await repository.commit({ Dockerfile: 'FROM scratch\nLABEL a=b\n' });
    const old = await startGitServer({ root: root.root, path, login, env: { GIT_PROTOCOL: 'version=0' } });
    const directory = newFolder();
    const url = `${old.url}/shop/strict.git`;
    await git.commitClone({ url, commit, ref: 'main', credential: login, directory, signal, timeoutMs: 30_000 });
    await old.close();
    await expect(execute('git', ['-C', directory, 'cat-file', '-e', commit])).resolves.toBeDefined();
    const { stdout } = await execute('git', ['-C', directory, 'rev-list', '--all', '--count']);
    expect(stdout.trim()).toBe('2');
  });

  test('a commit on a deleted branch is cloned as long as the host has it', async () => {
    const repository = await root.repository('shop/deleted');
    await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const commit = await repository.commit(
      { Dockerfile: 'FROM scratch\nLABEL a=b\n' },
      { branch: 'feature', isOrphan: true },
    );
    await repository.git('update-ref', '-d', 'refs/heads/feature');
    await repository.git('config', 'uploadpack.allowAnySHA1InWant', 'true');
    const directory = await clone('shop/deleted', { commit, ref: 'feature' });
    await expect(execute('git', ['-C', directory, 'cat-file', '-e', commit])).resolves.toBeDefined();
  });

  test('a commit that is nowhere any more is told as such', async () => {
    const repository = await root.repository('shop/gone');
    await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const commit = 'd4ef3dc3b77a011a5779eec7efdd45f1ccab0a01';
    await expect(clone('shop/gone', { commit })).rejects.toMatchObject({
      code: 'build.commit_missing',
      isPermanent: true,
      message: `The commit ${commit} is no longer in "main" of ${server.url}/shop/gone.git: it was force-pushed away or its branch deleted. Push again, or build the ref as it is now.`,
    });
  });

  test('a wrong password and none at all are the login’s fault, and neither shows', async () => {
    const repository = await root.repository('shop/private');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const wrong = { username: 'ada', password: 'wrong-password' };
    for (const credential of [wrong, null]) {
      const failure = clone('shop/private', { commit, credential });
      await expect(failure).rejects.toMatchObject({ code: 'source.not_authorized', isPermanent: true });
      await expect(failure).rejects.not.toThrow(/wrong-password|d3Jvbmct/);
    }
  });

  test('a repository that is not there is told as such', async () => {
    await expect(clone('shop/none', { commit: 'a'.repeat(40) })).rejects.toMatchObject({
      code: 'source.not_found',
      isPermanent: true,
    });
  });

  test('a host that does not answer is worth another attempt', async () => {
    const input = {
      commit: 'a'.repeat(40),
      ref: 'main',
      credential: null,
      directory: newFolder(),
      signal,
      timeoutMs: 10_000,
    };
    await expect(git.commitClone({ ...input, url: 'http://127.0.0.1:9/shop/web.git' })).rejects.toMatchObject({
      code: 'source.not_reachable',
      isPermanent: false,
    });
  });

  test('a host that never ends its answer is given up in time', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const input = {
      commit: 'a'.repeat(40),
      ref: 'main',
      credential: null,
      directory: newFolder(),
      signal,
      timeoutMs: 300,
    };
    const failure = git.commitClone({ ...input, url: `http://127.0.0.1:${port}/x.git` });
    await expect(failure).rejects.toMatchObject({ code: 'source.not_reachable' });
    await expect(failure).rejects.toThrow('it took too long');
    silent.closeAllConnections();
    silent.close();
  });

  test.for([
    ['another protocol', 'ext::sh -c "touch /tmp/slipway-owned"'],
    ['a local path', '/etc'],
    ['a file address', 'file:///etc'],
    ['an option in place of an address', '--upload-pack=touch /tmp/slipway-owned'],
    ['ssh', 'ssh://git@127.0.0.1/x.git'],
  ])('%s is refused and nothing runs', async ([, url = '']) => {
    const input = {
      commit: 'a'.repeat(40),
      ref: 'main',
      credential: null,
      directory: newFolder(),
      signal,
      timeoutMs: 10_000,
    };
    await expect(git.commitClone({ ...input, url })).rejects.toMatchObject({ code: 'source.address_refused' });
    await expect(stat('/tmp/slipway-owned')).rejects.toThrow('ENOENT');
  });

  test('plain http is refused unless it is allowed', async () => {
    const strict = createGit({ path, isHttpAllowed: false });
    const url = `${server.url}/shop/web.git`;
    await expect(strict.refResolve(url, 'refs/heads/main', { credential: login, signal })).rejects.toMatchObject({
      code: 'source.address_refused',
    });
  });

  test('the login is sent to its own host only, and stands in no file', async () => {
    const repository = await root.repository('shop/quiet');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const directory = await clone('shop/quiet', { commit });
    const { stdout } = await execute('grep', ['-rlE', `${login.password}|extraheader`, directory]).catch(() => ({
      stdout: '',
    }));
    expect(stdout).toBe('');
    expect(await readFile(join(directory, '.git/config'), 'utf8')).not.toContain('@');
  });

  test('canceled, it ends with the reason of the cancellation', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const controller = new AbortController();
    silent.once('request', () => controller.abort(new Error('canceled by ada')));
    const url = `http://127.0.0.1:${port}/x.git`;
    const input = {
      url,
      commit: 'a'.repeat(40),
      ref: 'main',
      credential: null,
      directory: newFolder(),
      timeoutMs: 10_000,
    };
    await expect(git.commitClone({ ...input, signal: controller.signal })).rejects.toThrow('canceled by ada');
    silent.closeAllConnections();
    silent.close();
  });
});
