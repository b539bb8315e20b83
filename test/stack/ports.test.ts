import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { choosePorts } from '../../stack/ports.ts';

let home: string;
const servers: Server[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slipway-ports-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(home, { recursive: true, force: true });
});

function occupy(port: number): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    servers.push(server);
    server.listen({ host: '127.0.0.1', port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

test('every part gets a port of its own', async () => {
  const ports = await choosePorts({ home, apiPort: 0 });

  expect(new Set(Object.values(ports)).size).toBe(Object.values(ports).length);
});

test('a later start takes the same ports', async () => {
  const first = await choosePorts({ home, apiPort: 0 });

  expect(await choosePorts({ home, apiPort: 0 })).toEqual(first);
});

test('a port that another program took meanwhile is replaced, the others stay', async () => {
  const first = await choosePorts({ home, apiPort: 0 });
  await occupy(first.hangzhou);

  const second = await choosePorts({ home, apiPort: 0 });

  expect(second.hangzhou).not.toBe(first.hangzhou);
  expect({ ...second, hangzhou: 0 }).toEqual({ ...first, hangzhou: 0 });
});

test('a taken SLIPWAY_PORT is one sentence that names it, and no port is written down', async () => {
  const port = await occupy(0);

  await expect(choosePorts({ home, apiPort: port })).rejects.toThrow(
    `Port ${port} is taken by another program: stop it, or choose another with SLIPWAY_PORT (0 takes any free one).`,
  );
});

test('the port asked for wins over the one kept', async () => {
  const first = await choosePorts({ home, apiPort: 0 });
  await writeFile(join(home, 'ports.json'), JSON.stringify({ ...first, postgres: first.api }));

  const second = await choosePorts({ home, apiPort: first.api });

  expect(second.api).toBe(first.api);
  expect(second.postgres).not.toBe(first.api);
});
