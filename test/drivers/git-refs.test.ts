import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGit } from '../../activities/drivers/git.ts';
import { type GitServer, startGitServer } from '../../stack/git-server.ts';
import { createGitRoot } from '../support/git-repository.ts';

const path = process.env['PATH'] ?? '/usr/bin:/bin';
const login = { username: 'ada', password: 'hunter2-hunter2' };
const git = createGit({ path, isHttpAllowed: true });
const remote = { credential: login, signal: new AbortController().signal };

let root: Awaited<ReturnType<typeof createGitRoot>>;
let server: GitServer;
beforeAll(async () => {
  root = await createGitRoot();
  server = await startGitServer({ root: root.root, path, login });
});
afterAll(async () => {
  await server.close();
  await root.remove();
});

describe('reading where some refs stand', () => {
  it('tells the commit of each, of an annotated tag its own object too, and leaves out what is not there', async () => {
    const repository = await root.repository('shop/tips');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    await repository.git('tag', '-a', '-m', 'release', 'v1', commit);
    await repository.git('update-ref', 'refs/heads/x/refs/heads/main2', commit);
    const asked = ['refs/heads/main', 'refs/tags/v1', 'refs/heads/main2', 'refs/heads/none'];
    const tips = await git.refsRead(`${server.url}/shop/tips.git`, asked, remote);
    expect([...tips.keys()]).toEqual(['refs/heads/main', 'refs/tags/v1']);
    expect(tips.get('refs/heads/main')).toEqual({ commit, objectId: commit });
    expect(tips.get('refs/tags/v1')).toMatchObject({ commit, objectId: expect.not.stringContaining(commit) });
  });

  it('takes more names than fit a command line', async () => {
    const repository = await root.repository('shop/crowd');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const asked = Array.from({ length: 10_000 }, (_, index) => `refs/heads/${'deep/'.repeat(40)}${index}`);
    const tips = await git.refsRead(`${server.url}/shop/crowd.git`, [...asked, 'refs/heads/main'], remote);
    expect([...tips]).toMatchObject([['refs/heads/main', { commit }]]);
  });

  it('fails by name where the login is wrong', async () => {
    const repository = await root.repository('shop/closed');
    await repository.commit({ Dockerfile: 'FROM scratch\n' });
    const stranger = { ...remote, credential: { ...login, password: 'another-password' } };
    const reading = git.refsRead(`${server.url}/shop/closed.git`, ['refs/heads/main'], stranger);
    await expect(reading).rejects.toMatchObject({ code: 'source.not_authorized' });
  });
});
