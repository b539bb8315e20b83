import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createGit } from '../../activities/drivers/git.ts';
import { type GitServer, startGitServer } from '../../stack/git-server.ts';
import { type CommitEntry, createGitRoot, type GitRepository } from '../support/git-repository.ts';

const execute = promisify(execFile);
const path = process.env['PATH'] ?? '/usr/bin:/bin';
const git = createGit({ path, isHttpAllowed: true });
const signal = new AbortController().signal;

let root: Awaited<ReturnType<typeof createGitRoot>>;
let server: GitServer;
let work: string;
/** What each of these repositories would make, if git did what it says. */
let canary: string;
let repositories = 0;

beforeAll(async () => {
  root = await createGitRoot();
  server = await startGitServer({ root: root.root, path, login: null });
  work = await mkdtemp(join(tmpdir(), 'slipway-hostile-'));
  canary = join(work, 'canary');
});
afterEach(() => {
  if (existsSync(canary)) throw new Error('Something of the repository was run.');
});
afterAll(async () => {
  await server.close();
  await root.remove();
  await rm(work, { recursive: true, force: true });
});

interface Hostile {
  readonly repository: GitRepository;
  readonly name: string;
}

async function newRepository(): Promise<Hostile> {
  repositories += 1;
  const name = `hostile/${repositories}`;
  return { name, repository: await root.repository(name) };
}

/** Clones and archives as a build does; answers what the context holds. */
async function contextOf(
  { name }: Hostile,
  { commit, ref = 'main', contextDirectory = '/' }: { commit: string; ref?: string; contextDirectory?: string },
): Promise<readonly string[]> {
  const directory = join(await mkdtemp(join(work, 'checkout-')), 'clone');
  const url = `${server.url}/${name}.git`;
  await git.commitClone({ url, commit, ref, credential: null, directory, signal, timeoutMs: 30_000 });
  const file = `${directory}.tar`;
  await git.contextArchive({ directory, commit, contextDirectory, dockerfile: 'Dockerfile', file, signal });
  expect(await readdir(directory)).toEqual(['.git']);
  const { stdout } = await execute('tar', ['-tf', file]);
  return stdout.split('\n').filter(Boolean);
}

/** A tree as no client writes it: mode, name and content of each entry. */
async function commitTree(
  { folder, git: run }: GitRepository,
  entries: readonly (readonly [string, string, string])[],
) {
  const input = async (args: readonly string[], text: string): Promise<string> => {
    const child = execute('git', ['-C', folder, ...args]);
    child.child.stdin?.end(text);
    return (await child).stdout.trim();
  };
  const lines = [];
  for (const [mode, name, content] of entries) {
    const hash = await input(['hash-object', '-w', '--stdin'], content);
    lines.push(`${mode} blob ${hash}\t${name}`);
  }
  const tree = await input(['mktree', '-z'], lines.join('\0'));
  const commit = await run('commit-tree', '-m', 'hostile', tree);
  await run('update-ref', 'refs/heads/main', commit);
  return commit;
}

const hook = (): CommitEntry => ({ content: `#!/bin/sh\ntouch ${canary}\n`, isExecutable: true });
const submodule = 'd4ef3dc3b77a011a5779eec7efdd45f1ccab0a01';
const refusedForGood = { code: 'build.source_unsafe', isPermanent: true };

describe('git-hostile-repos: a repository with', () => {
  test('a submodule named out of its folder (CVE-2018-11235) is refused for good, with git’s words', async () => {
    const hostile = await newRepository();
    const commit = await hostile.repository.commit({
      Dockerfile: 'FROM scratch\n',
      '.gitmodules': `[submodule "../../modules/evil"]\n\tpath = evil\n\turl = ./evil.git\n`,
      evil: { submodule },
      'modules/evil/hooks/post-checkout': hook(),
    });
    await expect(contextOf(hostile, { commit })).rejects.toMatchObject({
      ...refusedForGood,
      message: expect.stringContaining('gitmodulesName'),
    });
  });

  test('a link to .git beside a submodule that differs by case (CVE-2024-32002) is files and links, and nothing runs', async () => {
    const hostile = await newRepository();
    const commit = await hostile.repository.commit({
      Dockerfile: 'FROM scratch\n',
      '.gitmodules': '[submodule "x/y"]\n\tpath = A/modules/x\n\turl = ./hook.git\n',
      a: { link: '.git' },
      'A/modules/x': { submodule },
      'A/modules/y/hooks/post-checkout': hook(),
    });
    expect(await contextOf(hostile, { commit })).toEqual([
      ...['.gitmodules', 'A/', 'A/modules/', 'A/modules/x/', 'A/modules/y/', 'A/modules/y/hooks/'],
      ...['A/modules/y/hooks/post-checkout', 'Dockerfile', 'a'],
    ]);
  });

  test('a carriage return at the end of a submodule’s path (CVE-2025-48384) brings no submodule, and nothing runs', async () => {
    const hostile = await newRepository();
    const commit = await hostile.repository.commit({
      Dockerfile: 'FROM scratch\n',
      '.gitmodules': '[submodule "sub"]\n\tpath = "sub\r"\n\turl = ./sub.git\n',
      'sub\r': { link: '.git/modules/sub/hooks' },
      sub: { submodule },
      'hooks/post-checkout': hook(),
    });
    const context = await contextOf(hostile, { commit });
    expect(context).toHaveLength(6);
    expect(context).toEqual(expect.arrayContaining(['Dockerfile', 'hooks/post-checkout']));
  });

  test.each(['.git', '.GIT', 'git~1', '.g\u200cit'])(
    'an entry %j, which would be git’s own folder somewhere, is refused for good',
    async (name) => {
      const hostile = await newRepository();
      const commit = await commitTree(hostile.repository, [
        ['100644', name, `gitdir: ${work}\n`],
        ['100644', 'Dockerfile', 'FROM scratch\n'],
      ]);
      await expect(contextOf(hostile, { commit })).rejects.toMatchObject(refusedForGood);
    },
  );

  test('a bare repository inside, whose configuration and hooks would run programs, is files', async () => {
    const hostile = await newRepository();
    const evil = `[core]\n\tfsmonitor = "touch ${canary}"\n\tbare = false\n\tworktree = .\n[filter "evil"]\n\tclean = touch ${canary}\n\tsmudge = touch ${canary}\n`;
    const commit = await hostile.repository.commit({
      'evil/Dockerfile': 'FROM scratch\n',
      'evil/.gitattributes': '* filter=evil diff=evil merge=evil working-tree-encoding=UTF-16 ident\n',
      'evil/HEAD': 'ref: refs/heads/main\n',
      'evil/config': evil,
      'evil/hooks/post-checkout': hook(),
      'evil/objects/keep': '',
      'evil/refs/keep': '',
    });
    const context = await contextOf(hostile, { commit, contextDirectory: 'evil' });
    expect(context).toEqual(expect.arrayContaining(['Dockerfile', 'HEAD', 'config', 'hooks/post-checkout']));
  });

  test('hooks and configuration on the host’s own side runs none of them here', async () => {
    const hostile = await newRepository();
    const commit = await hostile.repository.commit({ Dockerfile: 'FROM scratch\n' });
    for (const name of ['post-checkout', 'reference-transaction', 'post-merge'])
      await writeFile(join(hostile.repository.folder, 'hooks', name), `#!/bin/sh\ntouch ${canary}\n`, { mode: 0o755 });
    await hostile.repository.git('config', 'core.fsmonitor', `touch ${canary}`);
    expect(await contextOf(hostile, { commit })).toEqual(['Dockerfile']);
  });

  test('folders in folders deeper than a file system goes is refused by name', async () => {
    const hostile = await newRepository();
    const commit = await deepCommit(hostile.repository, 1_800);
    await expect(contextOf(hostile, { commit })).rejects.toMatchObject({
      code: 'build.source_too_large',
      message: expect.stringContaining('a path that no file system takes'),
    });
  }, 30_000);

  test('a name longer than a file may have is refused by name, however it is spelt', async () => {
    for (const letter of ['x', '\u00e9', '"']) {
      const hostile = await newRepository();
      const commit = await hostile.repository.commit({ Dockerfile: 'FROM scratch\n', [letter.repeat(256)]: '' });
      await expect(contextOf(hostile, { commit })).rejects.toMatchObject({ code: 'build.source_too_large' });
    }
    const hostile = await newRepository();
    const commit = await hostile.repository.commit({ Dockerfile: 'FROM scratch\n', ['"'.repeat(255)]: '' });
    expect(await contextOf(hostile, { commit })).toHaveLength(2);
  }, 30_000);

  test.each(['$(touch CANARY)', 'a%2fb', '\u202egnp', "';touch CANARY;'", '--upload-pack=touch CANARY'])(
    'a branch named %j is cloned by that name',
    async (template) => {
      const hostile = await newRepository();
      const ref = template.replaceAll('CANARY', canary.replaceAll('/', '_')).replaceAll(' ', '_');
      const commit = await hostile.repository.commit({ Dockerfile: 'FROM scratch\n' });
      await hostile.repository.git('update-ref', '--', `refs/heads/${ref}`, commit);
      expect(await contextOf(hostile, { commit, ref })).toEqual(['Dockerfile']);
    },
  );
});

/** A Dockerfile at the root and folders in folders beside it, written as git stores them: no tool of git's makes so many in time. */
async function deepCommit({ folder, git: run }: GitRepository, depth: number): Promise<string> {
  const write = (type: string, body: Buffer): Buffer => {
    const object = Buffer.concat([Buffer.from(`${type} ${body.length}\0`), body]);
    const id = createHash('sha1').update(object).digest();
    const name = id.toString('hex');
    mkdirSync(join(folder, 'objects', name.slice(0, 2)), { recursive: true });
    writeFileSync(join(folder, 'objects', name.slice(0, 2), name.slice(2)), deflateSync(object));
    return id;
  };
  const blob = write('blob', Buffer.from('FROM scratch\n'));
  let tree = write('tree', Buffer.concat([Buffer.from('100644 Dockerfile\0'), blob]));
  for (let level = 1; level < depth; level += 1) {
    tree = write('tree', Buffer.concat([Buffer.from('40000 d\0'), tree]));
  }
  const top = [Buffer.from('100644 Dockerfile\0'), blob, Buffer.from('40000 d\0'), tree];
  const id = write('tree', Buffer.concat(top)).toString('hex');
  const commit = await run('commit-tree', '-m', 'deep', id);
  await run('update-ref', 'refs/heads/main', commit);
  return commit;
}
