import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createGit } from '../../activities/drivers/git.ts';
import { gitLogin } from '../../domain/source-credential.ts';
import { startGitServer } from '../../stack/git-server.ts';
import type { GitServer } from '../../stack/git-server.ts';
import { selfSigned } from '../support/certificate.ts';
import { createGitRoot } from '../support/git-repository.ts';
import { startScriptedHost } from '../support/source-hosts/scripted-host.ts';
import type { ScriptedHost } from '../support/source-hosts/scripted-host.ts';

const path = process.env['PATH'] ?? '/usr/bin:/bin';
const credential = gitLogin('gitea', { kind: 'token', token: 'canary-host-token' });
const certificate = selfSigned();
const git = createGit({ path, isHttpAllowed: false });

let root: Awaited<ReturnType<typeof createGitRoot>>;
let server: GitServer;
let host: ScriptedHost;
let url: string;
beforeAll(async () => {
  root = await createGitRoot();
  server = await startGitServer({ root: root.root, path, login: credential });
  host = await startScriptedHost('gitea', { certificate, gitUrl: server.url });
  url = `${host.url}/acme/web.git`;
  const code = await root.repository('acme/web');
  const commit = await code.commit({ 'web/Dockerfile': 'FROM scratch', 'web/lib': { link: '/etc' } });
  await code.git('tag', '-a', 'v1', '-m', 'one', commit);
  await root.repository('acme/empty');
});
afterAll(async () => {
  await host.close();
  await server.close();
  await root.remove();
});

const remote = () => ({
  credential,
  caCertificate: certificate.certificate,
  signal: AbortSignal.timeout(30_000),
});

describe('a source behind a private authority', () => {
  it('is cloned, listed and read with the certificate of its account', async () => {
    await git.cloneTest(url, remote());
    await git.cloneTest(`${host.url}/acme/empty.git`, remote());
    expect((await git.refsList(url, remote())).map(({ ref }) => ref)).toEqual(['main', 'v1']);
    expect(await git.treeList(url, { ref: 'refs/tags/v1', path: 'web' }, remote())).toEqual([
      { name: 'Dockerfile', type: 'file' },
      { name: 'lib', type: 'link' },
    ]);
    expect(await git.treeList(url, { ref: 'refs/heads/main', path: 'web/Dockerfile' }, remote())).toBeUndefined();
  });

  it('is not spoken to without it', async () => {
    const refused = git.cloneTest(url, { ...remote(), caCertificate: null });
    await expect(refused).rejects.toMatchObject({ code: 'source.not_reachable' });
    await expect(refused).rejects.toThrow(/certificate/);
  });

  it('leaves neither certificate nor clone behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-git-remote-'));
    vi.stubEnv('TMPDIR', folder);
    await git.cloneTest(url, remote());
    await expect(git.cloneTest(`${host.url}/acme/none.git`, remote())).rejects.toMatchObject({
      code: 'source.not_found',
    });
    vi.unstubAllEnvs();
    expect(await readdir(folder)).toEqual([]);
    await rm(folder, { recursive: true });
  });

  it('says which ref it does not have', async () => {
    const missing = git.treeList(url, { ref: 'refs/heads/none', path: '' }, remote());
    await expect(missing).rejects.toMatchObject({ code: 'source.ref_not_found' });
    await expect(missing).rejects.toThrow('no branch or tag "none"');
  });
});
