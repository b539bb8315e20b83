import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeDockerConfig } from '../../activities/drivers/docker-config.ts';

test('logins stand in a folder nobody else can read; a registry without one does not stand in it', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'slipway-config-'));
  const folder = join(parent, 'docker');
  await writeDockerConfig(folder, [
    { host: '127.0.0.1:5001', username: 'slipway', password: 'token' },
    { host: 'open.example.com', username: '', password: '' },
  ]);
  const file = join(folder, 'config.json');
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
    auths: { '127.0.0.1:5001': { auth: 'c2xpcHdheTp0b2tlbg==' } },
  });
  expect([(await stat(folder)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600]);
  await rm(parent, { recursive: true });
});
