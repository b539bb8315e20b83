import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createNetServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ProxyAgent, request } from 'undici';
import {
  createEgressProxyServer,
  createEgressRelay,
  startEgressProxy,
  type EgressProxy,
} from '../../activities/drivers/egress-proxy.ts';
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

describe('for sockets that somebody else accepts', () => {
  const strict: EgressPolicy = { allow: ['external'], denied: [], ports: [443], isHttpAllowed: false };

  /** A server as build daemons reach us: it accepts, the proxy answers. */
  async function proxyBehind(options: Parameters<typeof createEgressProxyServer>[0]): Promise<ProxyAgent> {
    const proxy = createEgressProxyServer(options);
    const port = await acceptingFor((socket) => proxy.take(socket));
    open.push({ close: () => Promise.resolve(proxy.close()) });
    const agent = new ProxyAgent({ uri: `http://127.0.0.1:${port}` });
    open.push(agent);
    return agent;
  }

  async function acceptingFor(take: (socket: Socket) => void): Promise<number> {
    const sockets = new Set<Socket>();
    const accepting = createNetServer((socket) => {
      sockets.add(socket);
      take(socket);
    });
    await new Promise<void>((resolve) => accepting.listen(0, '127.0.0.1', resolve));
    open.push({
      close: () =>
        new Promise((resolve) => {
          for (const socket of sockets) socket.destroy();
          accepting.close(() => resolve());
        }),
    });
    return (accepting.address() as AddressInfo).port;
  }

  test('a server of the administrator’s is reached at any port and by plain http, all else by the rules alone', async () => {
    const own = await listening(createServer((_, response) => void response.end('a registry')));
    const other = await listening(createServer((_, response) => void response.end('somebody’s own server')));
    const isOwn = (host: string) => host === `127.0.0.1:${own}`;
    const dispatcher = await proxyBehind({
      policy: strict,
      own: { isOwn, policy: { ...strict, allow: ['loopback'] } },
    });
    const answer = await request(`http://127.0.0.1:${own}/v2/`, { dispatcher });
    expect(await answer.body.text()).toBe('a registry');
    const refused = await request(`http://127.0.0.1:${other}/`, { dispatcher });
    expect(refused.statusCode).toBe(451);
    await refused.body.dump();
  });

  test('the administrator’s servers are where the administrator’s rules allow, and nowhere else', async () => {
    const own = await listening(createServer((_, response) => void response.end()));
    const dispatcher = await proxyBehind({ policy: strict, own: { isOwn: () => true, policy: strict } });
    const refused = await request(`http://127.0.0.1:${own}/v2/`, { dispatcher });
    expect(refused.statusCode).toBe(451);
    await refused.body.dump();
  });

  test('a relay joins a socket with a server the rules allow, and ends one that they do not', async () => {
    const own = await listening(createServer((_, response) => void response.end('a registry')));
    const allowed = createEgressRelay({ policy: loopback });
    const refused = createEgressRelay({ policy: strict });
    const target = { host: '127.0.0.1', port: own };
    const good = await request(`http://127.0.0.1:${await acceptingFor((socket) => allowed(socket, target))}/`);
    expect(await good.body.text()).toBe('a registry');
    await expect(
      request(`http://127.0.0.1:${await acceptingFor((socket) => refused(socket, target))}/`),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^(?:UND_ERR_SOCKET|ECONNRESET)$/) });
  });
});
