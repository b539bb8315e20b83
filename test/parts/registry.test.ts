import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runProcess } from '../../activities/drivers/process.ts';
import { imageCopy } from '../../activities/drivers/registry-copy.ts';
import type { RegistryClient } from '../../activities/drivers/registry.ts';
import { indexBuild } from '../../domain/image-index.ts';
import { manifestMediaTypes, type Descriptor } from '../../domain/image-manifest.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { createFaultProxy, type Faults } from '../support/fault-proxy.ts';
import { failureOf, registryClient } from '../support/registry-client.ts';
import { startRegistry, type RegistryProcess } from '../support/registry-process.ts';
import { startRegistryTokens, type RegistryTokenService } from '../support/registry-tokens.ts';
import { digestOf } from '../support/scripted-registry.ts';

const { ociManifest, ociIndex } = manifestMediaTypes;
const signal = AbortSignal.timeout(240_000);
let tokens: RegistryTokenService;
let source: RegistryProcess;
let destination: RegistryProcess;
let regctl: string;

beforeAll(async () => {
  ({ regctl } = await resolveTools(['regctl'], { env: process.env, onProgress: () => undefined, signal }));
  tokens = await startRegistryTokens();
  [source, destination] = await Promise.all([startRegistry(), startRegistry({ configuration: { auth: tokens.auth } })]);
});

afterAll(async () => {
  await Promise.all([source.stop(), destination.stop()]);
  await tokens.stop();
});

function clients(): { from: RegistryClient; to: RegistryClient } {
  const limits = { requestTimeoutMs: 20_000, idleTimeoutMs: 20_000 };
  return {
    from: registryClient(source.url, { limits }),
    to: registryClient(destination.url, { limits, credentials: tokens.credentials }),
  };
}

async function put(
  client: RegistryClient,
  repository: string,
  { mediaType, bytes }: { mediaType: string; bytes: Buffer },
): Promise<Descriptor> {
  const digest = digestOf(bytes);
  await client.blobPut(repository, bytes, { digest, signal });
  return { mediaType, digest, size: bytes.length };
}

/** An image of one platform with layers nobody has seen before. */
async function pushImage(
  client: RegistryClient,
  repository: string,
  { architecture = 'amd64', sizes = [100_000], base = [] as readonly Descriptor[] } = {},
): Promise<Descriptor> {
  const configBytes = Buffer.from(
    JSON.stringify({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }),
  );
  const config = await put(client, repository, {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    bytes: configBytes,
  });
  const layers = [...base];
  for (const size of sizes) {
    const bytes = gzipSync(randomBytes(size), { level: 0 });
    layers.push(await put(client, repository, { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', bytes }));
  }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers }));
  const digest = await client.manifestPut(repository, digestOf(bytes), { mediaType: ociManifest, bytes, signal });
  return { mediaType: ociManifest, digest, size: bytes.length, platform: { os: 'linux', architecture } };
}

async function pushSignature(client: RegistryClient, repository: string, subject: Descriptor): Promise<string> {
  const config = await put(client, repository, {
    mediaType: 'application/vnd.oci.empty.v1+json',
    bytes: Buffer.from('{}'),
  });
  const { mediaType, digest, size } = subject;
  const body = {
    schemaVersion: 2,
    mediaType: ociManifest,
    artifactType: 'application/vnd.example.signature',
    config,
    layers: [config],
    subject: { mediaType, digest, size },
  };
  const bytes = Buffer.from(JSON.stringify(body));
  return client.manifestPut(repository, digestOf(bytes), { mediaType: ociManifest, bytes, signal });
}

async function oracle(...args: string[]): Promise<string> {
  const hosts = [source, destination].flatMap(({ host }) => {
    const login =
      host === destination.host ? `,user=${tokens.credentials.username},pass=${tokens.credentials.password}` : '';
    return ['--host', `reg=${host},tls=disabled${login}`];
  });
  const { stdout } = await runProcess({
    command: regctl,
    args: [...args, ...hosts],
    env: { HOME: '/nonexistent' },
    signal,
    timeoutMs: 30_000,
  });
  return stdout.trim();
}

describe('between two real registries, the second behind a token service,', () => {
  test('an index with two platforms and a signature arrives as regctl would have copied it', async () => {
    const { from, to } = clients();
    const platforms = [
      await pushImage(from, 'shop/web'),
      await pushImage(from, 'shop/web', { architecture: 'arm64', sizes: [2_000_000, 5_000] }),
    ];
    const bytes = indexBuild(platforms);
    const digest = await from.manifestPut('shop/web', 'v1', { mediaType: ociIndex, bytes, signal });
    const signature = await pushSignature(from, 'shop/web', { mediaType: ociIndex, digest, size: bytes.length });

    const result = await imageCopy({
      source: { client: from, repository: 'shop/web', digest },
      destination: { client: to, repository: 'mirror/shop/web' },
      tags: ['v1', 'latest'],
      signal,
    });
    expect(result).toMatchObject({ digest, manifests: 4, blobs: { copied: 6, mounted: 0, skipped: 0 } });

    const copied = `${destination.host}/mirror/shop/web`;
    for (const tag of ['v1', 'latest']) expect(await oracle('image', 'digest', `${copied}:${tag}`)).toBe(digest);
    expect(await oracle('image', 'digest', '--platform', 'linux/arm64', `${copied}:v1`)).toBe(platforms[1]?.digest);
    expect(
      await oracle('artifact', 'list', '--format', '{{range .Descriptors}}{{.Digest}}{{end}}', `${copied}:v1`),
    ).toBe(signature);
    await expect(to.tagList('mirror/shop/web', { signal })).resolves.toEqual(expect.arrayContaining(['latest', 'v1']));
  });

  test('a second copy finds everything there, and one into another repository mounts it', async () => {
    const { from, to } = clients();
    const { digest } = await pushImage(from, 'shop/again', { sizes: [50_000, 60_000] });
    const copyTo = (repository: string, mountFrom: readonly string[] = []) =>
      imageCopy({
        source: { client: from, repository: 'shop/again', digest },
        destination: { client: to, repository },
        tags: ['v1'],
        mountFrom: () => mountFrom,
        signal,
      });
    expect((await copyTo('mirror/again')).blobs).toEqual({ copied: 3, mounted: 0, skipped: 0 });
    expect(await copyTo('mirror/again')).toMatchObject({ bytes: 0, blobs: { copied: 0, mounted: 0, skipped: 3 } });
    expect(await copyTo('mirror/other', ['nobody/here', 'mirror/again'])).toMatchObject({
      bytes: 0,
      blobs: { copied: 0, mounted: 3, skipped: 0 },
    });
    expect((await copyTo('mirror/third', ['nobody/here'])).blobs).toEqual({ copied: 3, mounted: 0, skipped: 0 });
  });

  test.for<[string, { up?: Partial<Faults>; down?: Partial<Faults> }]>([
    ['the upload', { up: { cut: { direction: 'up', afterBytes: 7_200_000, how: 'fin', times: 1 } } }],
    ['the download', { down: { cut: { direction: 'down', afterBytes: 7_200_000, how: 'fin', times: 1 } } }],
  ])('%s of a layer that breaks at 90 percent is not sent again', async ([, { up = {}, down = {} }]) => {
    const plain = await startRegistry();
    onTestFinished(() => plain.stop());
    const host = '127.0.0.1';
    const fromProxy = await createFaultProxy({ host, port: source.port }, down);
    const toProxy = await createFaultProxy({ host, port: plain.port }, up);
    onTestFinished(() => Promise.all([fromProxy.close(), toProxy.close()]).then(() => undefined));
    const { from } = clients();
    const { digest } = await pushImage(from, 'shop/big', { sizes: [8_000_000] });
    const result = await imageCopy({
      source: { client: registryClient(`http://${fromProxy.host}`), repository: 'shop/big', digest },
      destination: { client: registryClient(`http://${toProxy.host}`), repository: 'mirror/big' },
      tags: ['v1'],
      signal,
    });
    expect(result.digest).toBe(digest);
    expect(toProxy.counts().up).toBeLessThan(12_000_000);
    expect(fromProxy.counts().down).toBeLessThan(12_000_000);
    expect(await registryClient(plain.url).manifestHead('mirror/big', 'v1', { signal })).toMatchObject({ digest });
  });

  test('a repository the token does not cover is unauthorized, for good', async () => {
    const { from, to } = clients();
    const { digest } = await pushImage(from, 'shop/web');
    const failure = await failureOf(
      imageCopy({
        source: { client: from, repository: 'shop/web', digest },
        destination: { client: to, repository: 'closed/web' },
        tags: ['v1'],
        signal,
      }),
    );
    expect(failure).toMatchObject({ issue: 'unauthorized', isPermanent: true });
  });

  test('wrong credentials are unauthorized, for good', async () => {
    const client = registryClient(destination.url, { credentials: { username: 'robot', password: 'wrong' } });
    expect(await failureOf(client.ping({ signal }))).toMatchObject({ issue: 'unauthorized', isPermanent: true });
    await expect(clients().to.ping({ signal })).resolves.toBeUndefined();
  });

  test('an index is deleted before the images it names, which are then gone by digest too', async () => {
    const { from: client } = clients();
    const images = [await pushImage(client, 'shop/denied'), await pushImage(client, 'shop/denied', { sizes: [10] })];
    const bytes = Buffer.from(indexBuild(images));
    const index = await client.manifestPut('shop/denied', digestOf(bytes), { mediaType: ociIndex, bytes, signal });
    const digests = [index, ...images.map(({ digest }) => digest)];
    for (const digest of digests) await client.manifestDelete('shop/denied', digest, { signal });
    const heads = digests.map((digest) => client.manifestHead('shop/denied', digest, { signal }));
    expect(await Promise.all(heads)).toEqual([undefined, undefined, undefined]);
  });

  test('a tag is deleted without its manifest, a manifest with all its tags, and both a second time', async () => {
    const { from } = clients();
    const { digest } = await pushImage(from, 'shop/deleted');
    const { bytes, mediaType } = await from.manifestGet('shop/deleted', digest, { signal });
    for (const tag of ['v1', 'v2']) await from.manifestPut('shop/deleted', tag, { mediaType, bytes, signal });
    await from.tagDelete('shop/deleted', 'v1', { signal });
    await from.tagDelete('shop/deleted', 'v1', { signal });
    await expect(from.tagList('shop/deleted', { signal })).resolves.toEqual(['v2']);
    await expect(from.manifestHead('shop/deleted', digest, { signal })).resolves.toMatchObject({ digest });
    await from.manifestDelete('shop/deleted', digest, { signal });
    await from.manifestDelete('shop/deleted', digest, { signal });
    await expect(from.manifestHead('shop/deleted', 'v2', { signal })).resolves.toBeUndefined();
    await expect(from.repositoryList({ signal })).resolves.toContain('shop/deleted');
  });
});
