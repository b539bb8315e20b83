import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startIsolationWorld, type IsolationWorld } from '../support/isolation-world.ts';

const secretOfTheHost = 'what only this machine may say';

let world: IsolationWorld;
/** A server of this machine, on every address it has. */
const hostServer = createServer((request, response) => {
  response.end(request.url === '/over' ? (isOver ? 'over' : 'not yet') : secretOfTheHost);
});
let isOver = false;
let hostPort: number;

beforeAll(async () => {
  await new Promise<void>((resolve) => hostServer.listen(0, '0.0.0.0', resolve));
  hostPort = (hostServer.address() as AddressInfo).port;
  world = await startIsolationWorld({
    policy: { allow: ['external', 'packages.example.com'], ports: 'any', isHttpAllowed: true },
    resolve: async (host) => [host === 'packages.example.com' ? '127.0.0.1' : '10.1.2.3'],
  });
});
afterAll(async () => {
  hostServer.close();
  await world.stop();
});

/** A connection past the proxy. */
const direct = (host: string, port: number) =>
  `(bash -c 'exec 3<>/dev/tcp/${host}/${port} && echo connected' 2>/dev/null || echo no way)`;
/** Steps that say what is to be seen of other processes. */
const listProcesses = 'for f in /proc/[0-9]*; do cat $f/cmdline; echo; done';
/** Listens on port 8080, as any program may. */
const listen = `perl -e '$|=1; socket(S,2,1,6); bind(S,pack("Sna4x8",2,8080,"\\0\\0\\0\\0")) or die "taken"; listen(S,5); print "listening\\n"; open(W,"/tmp/wait"); <W>'`;

describe('what one build leaves', () => {
  test('a file, a process and a port are unseen by the next build of its own namespace', async () => {
    await world.build(`FROM base
RUN echo left > /tmp/left; echo left > /dev/shm/left; mkfifo /tmp/wait; (${listen}) & sleep 0.1`);
    const next = await world.build(`FROM base
RUN cat /tmp/left /dev/shm/left 2>/dev/null; ${listProcesses}; echo > /tmp/wait; ${listen}`);
    expect(next.lines).not.toContain('left');
    expect(next.lines.join('\n')).not.toContain('/tmp/wait0');
    expect(next.lines).toContain('listening');
  });

  test('a build beside it sees neither its processes nor its ports', async () => {
    const { promise: listening, resolve: nowListening } = Promise.withResolvers<undefined>();
    const first = world.build(
      `FROM base
RUN mkfifo /tmp/wait; (until [ "$(curl -s http://packages.example.com:${hostPort}/over)" = over ]; do sleep 0.1; done; echo > /tmp/wait) & ${listen}`,
      {
        input: {
          onLines: (lines) => lines.some(({ text }) => text.endsWith(' listening')) && nowListening(undefined),
        },
      },
    );
    await listening;
    const hosts = ['127.0.0.1', '10.230.0.1', ...[1, 2, 3, 4, 5].map((last) => `10.231.0.${last}`)];
    const beside = await world.build(`FROM base
RUN ${listProcesses}; ${hosts.map((host) => direct(host, 8080)).join('; ')}; echo > /tmp/wait; ${listen}`);
    isOver = true;
    await first;
    expect(beside.lines.filter((line) => line === 'no way')).toHaveLength(hosts.length);
    expect(beside.lines.at(-1)).toBe('listening');
    expect(beside.lines.join('\n')).not.toContain('/over');
  });

  test('a cache mount is there for the next build of the namespace, and not for another namespace’s', async () => {
    const fill = 'FROM base\nRUN --mount=type=cache,id=packages,target=/cache echo acme > /cache/poison';
    await world.build(fill, { namespaceId: 'acme' });
    const look =
      'FROM base\nRUN --mount=type=cache,id=packages,target=/cache cat /cache/poison 2>/dev/null || echo nothing there';
    expect((await world.build(`${look} # again`, { namespaceId: 'acme' })).lines).toContain('acme');
    expect((await world.build(look, { namespaceId: 'other' })).lines).toContain('nothing there');
    // Not even under the name of the other's caches.
    const named = await world.build(`${look} # named`, { namespaceId: 'other', input: { cacheNamespace: 'acme' } });
    expect(named.lines).toContain('nothing there');
  });

  test('its environment and its secrets are not in the next build’s', async () => {
    await world.build('FROM base\nARG TOKEN\nENV TOKEN=$TOKEN\nRUN echo ok', {
      input: { args: [{ key: 'TOKEN', value: 'tok-123' }] },
    });
    const next = await world.build(
      'FROM base\nRUN cat /proc/self/environ | while read -d "" v; do echo "$v"; done || true',
    );
    expect(next.lines.join('\n')).not.toContain('tok-123');
  });
});

describe('where steps can go', () => {
  const ask = (url: string) =>
    `curl --silent --max-time 3 --output - --write-out ' %{http_code}\\n' ${url} || echo none`;

  test('an address that builds may reach is reached by the proxy that every step finds in its environment', async () => {
    const { lines } = await world.build(`FROM base\nRUN ${ask(`http://packages.example.com:${hostPort}/x`)}`);
    expect(lines.join('\n')).toContain(`${secretOfTheHost} 200`);
  });

  test('a program that knows no proxy reaches it too: every name leads to the gateway, which asks who was meant', async () => {
    const host = `packages.example.com:${hostPort}`;
    const bare = `curl --silent --noproxy '*' --connect-to ${host}:packages.example.com:80`;
    const { lines } = await world.build(
      `FROM base\nRUN ${bare} http://${host}/x; echo; ${bare.replace(host, `internal.corp:${hostPort}`)} --write-out '%{http_code}\\n' http://internal.corp:${hostPort}/; curl --silent --insecure --noproxy '*' --show-error https://internal.corp/ 2>&1 || true`,
    );
    expect(lines).toContain(secretOfTheHost);
    expect(lines).toContain('451');
    expect(lines.join('\n')).toMatch(/alert access denied/);
  });

  test('the parameters that name the proxy are in no image and in no history', async () => {
    const { digest } = await world.build('FROM base\nRUN echo built');
    const manifest = await fetchJson(`acme/app/manifests/${digest}`);
    const config = JSON.stringify(await fetchJson(`acme/app/blobs/${digestOf(manifest['config'])}`));
    expect(config).not.toMatch(/proxy|10\.230/i);
  });

  test('this machine, private networks and metadata addresses are refused by the proxy', async () => {
    const urls = ['127.0.0.1', 'localhost.', '169.254.169.254', '10.0.0.1', 'internal.corp'].map(
      (host) => `http://${host}:${hostPort}/`,
    );
    const { lines } = await world.build(
      `FROM base\nRUN ${urls.map((url) => `NO_PROXY= no_proxy= ${ask(url)}`).join('; ')}`,
    );
    expect(lines.join('\n')).not.toContain(secretOfTheHost);
    expect(lines.filter((line) => line.endsWith('451'))).toHaveLength(5);
  });

  test('without the proxy nothing is reached: not loopback, not the machine’s own addresses, not the outside', async () => {
    const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    const hosts = [...own.filter(({ family }) => family === 'IPv4').map(({ address }) => address), '192.0.2.1'];
    const { lines } = await world.build(
      `FROM base\nRUN ${hosts.map((host) => direct(host, hostPort)).join('; ')}; ${direct('169.254.169.254', 80)}`,
    );
    expect(lines.filter((line) => line === 'connected')).toEqual([]);
    expect(lines.filter((line) => line === 'no way')).toHaveLength(hosts.length + 1);
  });

  test('the daemon’s own way out and its registries are no way for a step', async () => {
    const registryPort = world.registry.port;
    const { lines } = await world.build(
      `FROM base\nRUN ${[direct('10.230.0.1', registryPort), direct('10.231.0.1', registryPort), direct('127.0.0.1', registryPort), direct('10.231.0.1', 3128)].join('; ')}`,
    );
    expect(lines).toEqual(['no way', 'no way', 'no way', 'no way']);
  });

  test('what the daemon adds for a Dockerfile follows the same rules', async () => {
    for (const address of [
      `http://127.0.0.1:${hostPort}/x`,
      'http://169.254.169.254/latest/meta-data',
      'https://10.0.0.1/x',
    ]) {
      await expect(world.build(`FROM base\nADD ${address} /x`)).rejects.toMatchObject({
        problem: expect.objectContaining({ code: expect.stringMatching(/^build\.(address_refused|network_error)$/) }),
      });
    }
    const added = await world.build(`FROM base\nADD http://packages.example.com:${hostPort}/x /x\nRUN cat /x; echo`);
    expect(added.lines).toContain(secretOfTheHost);
  });
});

async function fetchJson(path: string): Promise<Record<string, unknown>> {
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const response = await fetch(`${world.registry.url}/v2/${path}`, { headers: { accept } });
  return JSON.parse(await response.text());
}

function digestOf(descriptor: unknown): string {
  return typeof descriptor === 'object' && descriptor !== null && 'digest' in descriptor
    ? String(descriptor.digest)
    : '';
}
