import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEgress } from '../../activities/drivers/egress.ts';
import type { Egress } from '../../activities/drivers/egress.ts';
import { createLoginTokens, publicJwks } from '../../activities/drivers/login-token.ts';
import { createRegistries } from '../../activities/drivers/registries.ts';
import { createRegistryClient } from '../../activities/drivers/registry.ts';
import { createRegistryTokens } from '../../activities/drivers/registry-token.ts';
import { parseTokenKey } from '../../activities/drivers/token-key.ts';
import { createApp } from '../../api/app.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { findInstance } from '../../db/repositories/instance.ts';
import { readConfig } from '../../domain/config.ts';
import type { RegistryError } from '../../domain/registry-error.ts';
import { adminToken, create, createTestApi, newTokenKeyText, testEnvironment, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { createNamespace } from '../support/api-world.ts';
import { startRegistry } from '../support/registry-process.ts';
import type { RegistryProcess } from '../support/registry-process.ts';

const signal = AbortSignal.timeout(60_000);
let api: TestApi;
let registry: RegistryProcess;
let url: string;
let egress: Egress;
let close: () => Promise<void>;
let loginTokens: ReturnType<typeof createLoginTokens>;

/** The API on a real port, and a real registry that trusts its tokens and nothing else. */
beforeAll(async () => {
  const key = parseTokenKey(newTokenKeyText());
  const handler: { fetch: (request: Request) => Response | Promise<Response> } = { fetch: () => new Response() };
  const server = serve({ fetch: (request) => handler.fetch(request), hostname: '127.0.0.1', port: 0 });
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${portOf(server.address())}`;

  const folder = await mkdtemp(join(tmpdir(), 'slipway-jwks-'));
  const jwks = join(folder, 'jwks.json');
  await writeFile(jwks, publicJwks(key));
  const token = {
    realm: `${url}/auth/token`,
    service: 'hangzhou',
    issuer: 'slipway',
    jwks,
    signingalgorithms: ['ES256'],
  };
  registry = await startRegistry({ configuration: { auth: { token } } });

  const policy: ApiDeps['egressPolicy'] = { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true };
  egress = createEgress({ policy });
  loginTokens = createLoginTokens({ key });
  api = await createTestApi({
    clock: () => new Date(),
    config: readConfig({ ...testEnvironment, SLIPWAY_URL: url }),
    loginTokens,
    registryTokens: createRegistryTokens({ key }),
    egressPolicy: policy,
  });
  const registries = createRegistries({
    findInstance: (idOrName) => findInstance(api.database.db, idOrName),
    loginTokens,
    openSecret: () => Promise.reject(new Error('a managed instance has no stored login')),
    tokenServer: url,
    dispatcher: egress.dispatcher,
  });
  const app = createApp({ ...api.deps, registries });
  handler.fetch = (request) => app.fetch(request);
  await create(api, '/v1/instances', { name: 'hangzhou', region: 'cn-hangzhou', registryUrl: registry.url });
  close = async () => {
    await egress.close();
    await registry.stop();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
    await api.close();
  };
});
afterAll(() => close());

function portOf(address: string | AddressInfo | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Logs in at the registry as `docker login` would, with a password or without any. */
function client(password?: string) {
  return createRegistryClient({
    endpoint: { url: registry.url, isInsecure: true, tokenServer: url },
    credentials: password === undefined ? undefined : { username: 'anyone', password },
    dispatcher: egress.dispatcher,
  });
}

const issueOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: RegistryError) => error.issue,
  );

describe('a registry behind the token service', () => {
  it('passes the check of its instance: connected, logged in, pushed, pulled, deleted', async () => {
    const answer = await fetch(`${url}/v1/instances/hangzhou/check`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}` },
    });
    expect(await answer.json()).toMatchObject({
      ok: true,
      latencyMs: expect.any(Number),
      checks: [
        { name: 'connect', ok: true },
        { name: 'push', ok: true, detail: 'Takes a pushed image.' },
        { name: 'pull', ok: true, detail: 'Gives back the same bytes.' },
        { name: 'delete', ok: true, detail: 'Deletes an image.' },
      ],
    });
  });

  it('takes a push with a temporary token, refuses one without, and lets everybody pull what is public', async () => {
    const shop = await createNamespace(api, 'hangzhou', 'shop');
    await create(api, `/v1/namespaces/${shop}/repositories`, { name: 'site', type: 'public' });
    await create(api, `/v1/namespaces/${shop}/repositories`, { name: 'web' });
    const login = await create(api, '/v1/instances/hangzhou/authorization-tokens', {});
    const owner = client(textAt(login, 'token'));
    const empty = new TextEncoder().encode('{}');
    const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest, size: 2 };
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] }));
    for (const path of ['shop/site', 'shop/web']) {
      await owner.blobPut(path, empty, { signal, digest });
      await owner.manifestPut(path, 'v1', { signal, mediaType, bytes });
    }
    expect((await client().manifestGet('shop/site', 'v1', { signal })).mediaType).toBe(mediaType);
    expect(await issueOf(client().manifestGet('shop/web', 'v1', { signal }))).toBe('unauthorized');
    expect(await issueOf(client().manifestPut('shop/site', 'v2', { signal, mediaType, bytes }))).toBe('unauthorized');
    expect(await issueOf(client('wrong').manifestGet('shop/site', 'v1', { signal }))).toBe('unauthorized');
    expect(await issueOf(owner.manifestPut('nowhere/web', 'v1', { signal, mediaType, bytes }))).toBe('unauthorized');
  });

  it('lets a build’s login write its own repository’s caches, and no other login or repository’s', async () => {
    const build = await loginTokens.sign({
      subject: 'slipway',
      instance: 'hangzhou',
      access: [{ repository: 'slipway-cache/crr-own', actions: ['pull', 'push'] }],
      ttlSeconds: 60,
    });
    const empty = new TextEncoder().encode('{}');
    const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
    const put = (by: string | undefined, path: string) => client(by).blobPut(path, empty, { signal, digest });
    expect(await issueOf(put(build, 'slipway-cache/crr-own'))).toBe('none');
    expect(await issueOf(put(build, 'slipway-cache/crr-other'))).toBe('unauthorized');
    expect(await issueOf(put(undefined, 'slipway-cache/crr-own'))).toBe('unauthorized');
  });
});
