import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ProxyAgent, request } from 'undici';
import { startEgressProxy, type EgressProxy } from '../../activities/drivers/egress-proxy.ts';
import { createGit } from '../../activities/drivers/git.ts';
import type { EgressPolicy } from '../../domain/egress.ts';
import { startGitServer, type GitServer } from '../../stack/git-server.ts';
import { createGitRoot } from '../support/git-repository.ts';

const path = process.env['PATH'] ?? '/usr/bin:/bin';
const login = { username: 'ada', password: 'hunter2-hunter2' };
const signal = new AbortController().signal;
const loopback: EgressPolicy = { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true };
const outside: EgressPolicy = { allow: ['external'], denied: [], ports: 'any', isHttpAllowed: true };

let root: Awaited<ReturnType<typeof createGitRoot>>;
let server: GitServer;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  root = await createGitRoot();
  server = await startGitServer({ root: root.root, path, login });
});
afterAll(async () => {
  await server.close();
  await root.remove();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function proxyFor(
  policy: EgressPolicy,
  resolve?: (host: string) => Promise<readonly string[]>,
): Promise<EgressProxy> {
  const proxy = await startEgressProxy({ policy, ...(resolve === undefined ? {} : { resolve }) });
  open.push(proxy);
  return proxy;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({ close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))) });
  return (server.address() as AddressInfo).port;
}

describe('git through the egress proxy', () => {
  test('an allowed source host is cloned as without it', async () => {
    const repository = await root.repository('shop/web');
    const commit = await repository.commit({ Dockerfile: 'FROM scratch\n', 'large.bin': 'x'.repeat(200_000) });
    const folder = await mkdtemp(join(tmpdir(), 'slipway-proxy-'));
    const git = createGit({ path, isHttpAllowed: true, egressProxy: (await proxyFor(loopback)).url });
    const url = `${server.url}/shop/web.git`;
    const remote = { credential: login, signal };
    expect(await git.refResolve(url, 'refs/heads/main', remote)).toBe(commit);
    await git.commitClone({ url, commit, ref: 'main', directory: join(folder, 'clone'), timeoutMs: 30_000, ...remote });
    await rm(folder, { recursive: true });
  });

  test('an address the rules forbid is refused, over http and https, and nothing is asked of it', async () => {
    const git = createGit({ path, isHttpAllowed: true, egressProxy: (await proxyFor(outside)).url });
    const before = server.requests.length;
    for (const url of [`${server.url}/shop/web.git`, `${server.url.replace('http:', 'https:')}/shop/web.git`]) {
      await expect(git.refResolve(url, 'refs/heads/main', { credential: login, signal })).rejects.toMatchObject({
        code: 'source.address_refused',
        isPermanent: true,
      });
    }
    expect(server.requests).toHaveLength(before);
  });

  test('a name that has come to point inside is refused', async () => {
    const proxy = await proxyFor(outside, async () => ['127.0.0.1']);
    const git = createGit({ path, isHttpAllowed: true, egressProxy: proxy.url });
    const url = `http://code.example.com:${new URL(server.url).port}/shop/web.git`;
    await expect(git.refResolve(url, 'refs/heads/main', { credential: login, signal })).rejects.toMatchObject({
      code: 'source.address_refused',
    });
  });

  test('a redirect to an address the rules forbid leads nowhere', async () => {
    let asked = 0;
    const inside = createServer((_, response) => {
      asked += 1;
      response.end();
    });
    const insidePort = await listening(inside);
    const source = createServer((incoming, response) => {
      response.writeHead(302, { location: `http://inside.example.com:${insidePort}${incoming.url}` }).end();
    });
    const sourcePort = await listening(source);
    const policy: EgressPolicy = { ...loopback, allow: ['source.example.com'] };
    const proxy = await proxyFor(policy, async () => ['127.0.0.1']);
    const git = createGit({ path, isHttpAllowed: true, egressProxy: proxy.url });
    const url = `http://source.example.com:${sourcePort}/shop/web.git`;
    await expect(git.refResolve(url, 'refs/heads/main', { credential: null, signal })).rejects.toMatchObject({
      code: 'source.address_refused',
    });
    expect(asked).toBe(0);
  });

  test('a host that is not there is worth another attempt', async () => {
    const git = createGit({ path, isHttpAllowed: true, egressProxy: (await proxyFor(loopback)).url });
    await expect(
      git.refResolve('https://127.0.0.1:9/x.git', 'refs/heads/main', { credential: null, signal }),
    ).rejects.toMatchObject({ code: 'source.not_reachable' });
  });
});

test('a tunnel carries bytes both ways', async () => {
  const echo = createServer((incoming, response) => void incoming.pipe(response));
  const port = await listening(echo);
  const agent = new ProxyAgent({ uri: (await proxyFor(loopback)).url, proxyTunnel: true });
  open.push(agent);
  const answer = await request(`http://127.0.0.1:${port}/`, {
    dispatcher: agent,
    method: 'POST',
    body: 'there and back',
  });
  expect(await answer.body.text()).toBe('there and back');
});
