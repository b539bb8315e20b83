import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createEgress } from '../activities/drivers/egress.ts';
import { runProcess } from '../activities/drivers/process.ts';
import { imageCopy } from '../activities/drivers/registry-copy.ts';
import { createRegistryClient, type RegistryClient } from '../activities/drivers/registry.ts';
import { manifestMediaTypes, parseManifest, type Descriptor } from '../domain/image-manifest.ts';
import { startFaultProxyProcess } from '../test/support/fault-proxy-process.ts';
import { startRegistry } from '../test/support/registry-process.ts';
import { resolveTools } from '../tools/resolve.ts';
import { check, median, report } from './report.ts';

const rounds = 5;
const layers = 24;
const layerBytes = 4 * 1024 * 1024;
/** In each direction, so 80 ms there and back. */
const delayMs = 40;
const repository = 'bench/image';
/** In memory where the machine has such a folder: what is measured is the way, not the registries' disk. */
const dataFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** One way to bring the image from one registry to the other. */
interface Contender {
  readonly name: string;
  readonly copy: (sides: Sides) => Promise<unknown>;
}

interface Sides {
  /** `host:port` of the delaying proxies. */
  readonly source: string;
  readonly destination: string;
  readonly digest: string;
  /** An empty home for the tools' own caches. */
  readonly home: string;
}

/**
 * Replication against `skopeo copy --all`, `regctl image copy`, `crane copy`, `oras cp` at their defaults and against a
 * sequential pull-then-push: 24 layers of 4 MiB, 80 ms round trip to both registries, an empty destination every time.
 */
export async function run(): Promise<boolean> {
  const contenders = await allContenders();
  const source = await startRegistry({ under: dataFolder });
  const digest = await imagePush(source.url);
  const proxy = await startFaultProxyProcess({ host: '127.0.0.1', port: source.port }, { delayMs });
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  try {
    // First copies load code and warm caches, as a worker that lives long has done: not counted, for anybody.
    for (const contender of [...contenders, ...contenders]) await timed(contender, { source: proxy.host, digest });
    for (let round = 0; round < rounds; round += 1) {
      for (const contender of rotated(contenders, round)) {
        const ms = await timed(contender, { source: proxy.host, digest });
        times.get(contender.name)?.push(ms);
        console.log(`round ${round + 1}  ${contender.name.padEnd(12)} ${(ms / 1_000).toFixed(2)} s`);
      }
    }
  } finally {
    await Promise.all([proxy.close(), source.stop()]);
  }
  return conclude(times);
}

async function conclude(times: ReadonlyMap<string, readonly number[]>): Promise<boolean> {
  const middles = new Map([...times].map(([name, values]) => [name, median(values)]));
  const ours = middles.get('slipway') ?? Number.NaN;
  const tools = [...middles].filter(([name]) => name !== 'slipway' && name !== 'sequential');
  const [fastest = ['none', Number.NaN] as const] = tools.sort((a, b) => a[1] - b[1]);
  console.log('');
  for (const [name, ms] of middles)
    console.log(`${name.padEnd(12)} median ${(ms / 1_000).toFixed(2)} s  ${(ms / ours).toFixed(2)} x ours`);
  return report('replicate', [
    check('sequential pull-then-push / ours', (middles.get('sequential') ?? Number.NaN) / ours, {
      unit: 'x',
      op: '>=',
      target: 6,
    }),
    check(`fastest copy tool (${fastest[0]}) / ours`, fastest[1] / ours, { unit: 'x', op: '>=', target: 2 }),
  ]);
}

/** One copy into a registry that holds nothing, checked afterwards past the proxy. */
async function timed(
  { name, copy }: Contender,
  { source, digest }: { source: string; digest: string },
): Promise<number> {
  const registry = await startRegistry({ under: dataFolder });
  const proxy = await startFaultProxyProcess({ host: '127.0.0.1', port: registry.port }, { delayMs });
  const home = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  try {
    const start = performance.now();
    await copy({ source, destination: proxy.host, digest, home });
    const ms = performance.now() - start;
    await assertCopied(registry.url, { name, digest });
    return ms;
  } finally {
    await Promise.all([proxy.close(), registry.stop(), rm(home, { recursive: true, force: true })]);
  }
}

async function assertCopied(url: string, { name, digest }: { name: string; digest: string }): Promise<void> {
  await withClient(url, async (client) => {
    const head = await client.manifestHead(repository, 'v1', { signal: AbortSignal.timeout(10_000) });
    if (head?.digest !== digest) throw new Error(`${name} did not copy the image: ${JSON.stringify(head)}`);
  });
}

async function allContenders(): Promise<readonly Contender[]> {
  const signal = AbortSignal.timeout(3_600_000);
  const { regctl, crane, oras } = await resolveTools(['regctl', 'crane', 'oras'], {
    env: process.env,
    onProgress: console.log,
    signal,
  });
  const env = { PATH: process.env['PATH'] ?? '' };
  await runProcess({ command: 'skopeo', args: ['--version'], env, signal, timeoutMs: 10_000 }).catch(
    (error: unknown) => {
      throw new Error('This benchmark compares with skopeo, which does not start: apt-get install skopeo.', {
        cause: error,
      });
    },
  );
  const tool = (
    name: string,
    command: string,
    args: (from: string, to: string, sides: Sides) => string[],
  ): Contender => ({
    name,
    copy: (sides) => {
      const [from, to] = [`${sides.source}/${repository}:v1`, `${sides.destination}/${repository}:v1`];
      return runProcess({
        command,
        args: args(from, to, sides),
        env: { ...env, HOME: sides.home },
        signal,
        timeoutMs: 120_000,
      });
    },
  });
  return [
    { name: 'slipway', copy: copyOurs },
    tool('skopeo', 'skopeo', (from, to) => [
      'copy',
      '--all',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      `docker://${from}`,
      `docker://${to}`,
    ]),
    tool('regctl', regctl, (from, to, { source, destination }) => [
      'image',
      'copy',
      '--host',
      `reg=${source},tls=disabled`,
      '--host',
      `reg=${destination},tls=disabled`,
      from,
      to,
    ]),
    tool('crane', crane, (from, to) => ['copy', '--insecure', from, to]),
    tool('oras', oras, (from, to) => ['cp', '--from-plain-http', '--to-plain-http', from, to]),
    { name: 'sequential', copy: copySequentially },
  ];
}

/** As the worker does it: in process, with a new client, so without a connection or a token kept from before. */
async function copyOurs({ source, destination, digest }: Sides): Promise<void> {
  await withClient(`http://${source}`, (from) =>
    withClient(`http://${destination}`, (to) =>
      imageCopy({
        source: { client: from, repository, digest },
        destination: { client: to, repository },
        tags: ['v1'],
        signal: AbortSignal.timeout(120_000),
      }),
    ),
  );
}

/** Pull everything, then push everything, one after the other: what a script of `docker pull` and `docker push` amounts to. */
async function copySequentially({ source, destination, digest }: Sides): Promise<void> {
  const signal = AbortSignal.timeout(120_000);
  await withClient(`http://${source}`, async (from) => {
    const { mediaType, bytes } = await from.manifestGet(repository, digest, { signal });
    const image = parseManifest({ mediaType, bytes });
    if (image.kind !== 'image') throw new Error('the image of this benchmark has one platform');
    const blobs: { descriptor: Descriptor; content: Uint8Array }[] = [];
    for (const descriptor of [image.config, ...image.layers]) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of await from.blobGet(repository, descriptor, { signal })) chunks.push(chunk);
      blobs.push({ descriptor, content: Buffer.concat(chunks) });
    }
    await withClient(`http://${destination}`, async (to) => {
      for (const { descriptor, content } of blobs) {
        const { digest: blob, size } = descriptor;
        await to.blobUpload({ repository, digest: blob, size, signal, open: () => Promise.resolve(oneChunk(content)) });
      }
      await to.manifestPut(repository, 'v1', { mediaType, bytes, signal });
    });
  });
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function withClient<T>(url: string, work: (client: RegistryClient) => Promise<T>): Promise<T> {
  const egress = createEgress({ policy: { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true } });
  try {
    return await work(createRegistryClient({ endpoint: { url, isInsecure: true }, dispatcher: egress.dispatcher }));
  } finally {
    await egress.close();
  }
}

/** An image nobody has seen before, pushed past the proxy. */
async function imagePush(url: string): Promise<string> {
  const signal = AbortSignal.timeout(120_000);
  return withClient(url, async (client) => {
    async function put(mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      await client.blobPut(repository, bytes, { digest, signal });
      return { mediaType, digest, size: bytes.length };
    }
    const config = await put(
      'application/vnd.oci.image.config.v1+json',
      Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'),
    );
    const descriptors: Descriptor[] = [];
    for (let layer = 0; layer < layers; layer += 1) {
      // Gzip that does not shrink: skopeo would compress a plain layer and copy another image.
      const content = gzipSync(randomBytes(layerBytes), { level: 0 });
      descriptors.push(await put('application/vnd.oci.image.layer.v1.tar+gzip', content));
    }
    const mediaType = manifestMediaTypes.ociManifest;
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: descriptors }));
    return client.manifestPut(repository, 'v1', { mediaType, bytes, signal });
  });
}

/** Another one begins each round, so that nobody always runs behind the same other. */
function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
