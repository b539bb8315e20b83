import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { ApiClient } from '../../stack/api-client.ts';
import { rootFolder } from '../../stack/settings.ts';
import { type Checkout, checkoutSample, stackApi, stackFile } from '../support/stack-world.ts';

const idSchema = z.object({ id: z.string() });
const idsSchema = z.object({ items: z.array(idSchema) });
const namesSchema = z.object({ items: z.array(z.object({ id: z.string(), name: z.string() })) });
const buildSchema = z.looseObject({ status: z.string(), reason: z.unknown(), endedAt: z.string().nullable() });
const loginSchema = z.object({ username: z.string(), token: z.string() });
const run = promisify(execFile);
let context: string;
let checkout: Checkout;

beforeAll(async () => {
  context = await mkdtemp(join(tmpdir(), 'slipway-image-'));
  checkout = await checkoutSample();
});

afterAll(async () => {
  await checkout.remove();
  await rm(context, { recursive: true, force: true });
});

test('Slipway builds its own image without a network; the image starts as the role it is given, and not as root', async () => {
  const api = stackApi();
  await run(process.execPath, [join(rootFolder, 'stack', 'image.ts'), '--without-tools', context], {
    timeout: 300_000,
  });
  for (const name of await readdir(context)) {
    await rm(join(checkout.folder, name), { recursive: true, force: true });
    await rename(join(context, name), join(checkout.folder, name));
  }
  // To compress hundreds of megabytes takes longer than to move them; packages bring ignore files of their own.
  await checkout.git('config', 'core.compression', '0');
  await checkout.git('add', '--all', '--force');
  await checkout.push('own-image', {});

  const repository = await createRepository(api);
  const rules = await api.call('GET', `/v1/repositories/${repository}/build-rules`, { answer: idsSchema });
  const started = await api.call('POST', `/v1/build-rules/${rules.items[0]?.id}/builds`, {
    body: {},
    answer: idSchema,
  });
  const build = await api.until(`/v1/builds/${started.id}`, {
    answer: buildSchema,
    isDone: ({ endedAt }) => endedAt !== null,
    everyMs: 500,
  });

  expect(build).toMatchObject({ status: 'success', reason: null });
  expect(await imageConfig(api, 'shop/slipway:self')).toMatchObject({
    User: '10001',
    Entrypoint: ['slipway'],
    Cmd: ['api'],
  });
});

/** A repository that no chain covers: it is built and pushed, no more. */
async function createRepository(api: ApiClient): Promise<string> {
  const namespaces = await api.call('GET', '/v1/instances/hangzhou/namespaces', { answer: namesSchema });
  const accounts = await api.call('GET', '/v1/instances/hangzhou/source-accounts', { answer: idsSchema });
  const namespace = namespaces.items.find(({ name }) => name === 'shop')?.id;
  const { id } = await api.call('POST', `/v1/namespaces/${namespace}/repositories`, {
    body: {
      name: 'slipway',
      codeSource: { sourceAccount: accounts.items[0]?.id, codeNamespace: 'shop', codeRepository: 'web' },
      buildRules: [{ ref: { type: 'branch', name: 'own-image' }, imageTags: [{ template: 'self' }] }],
    },
    answer: idSchema,
  });
  return id;
}

async function imageConfig(api: ApiClient, image: string): Promise<unknown> {
  const url = stackFile().instances.find(({ name }) => name === 'hangzhou')?.registryUrl ?? '';
  const login = await api.call('POST', '/v1/instances/hangzhou/authorization-tokens', {
    body: {},
    answer: loginSchema,
  });
  const credentials = ['--tls-verify=false', '--creds', `${login.username}:${login.token}`];
  const reference = `docker://${new URL(url).host}/${image}`;
  const { stdout } = await run('skopeo', ['inspect', '--config', ...credentials, reference], { timeout: 60_000 });
  return JSON.parse(stdout).config;
}
