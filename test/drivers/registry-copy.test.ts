import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { imageCopy, type CopyProgress, type ImageCopy } from '../../activities/drivers/registry-copy.ts';
import { manifestMediaTypes } from '../../domain/image-manifest.ts';
import { failureOf, registryClient, scriptedRegistry, type TestClientOptions } from '../support/registry-client.ts';
import { digestOf, refuse, type ScriptedRegistry, type ScriptedRegistryOptions } from '../support/scripted-registry.ts';

const { ociIndex, ociManifest } = manifestMediaTypes;
const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

interface World {
  readonly source: ScriptedRegistry;
  readonly destination: ScriptedRegistry;
  readonly copy: (options?: Partial<ImageCopy>) => ReturnType<typeof imageCopy>;
  /** An image of one platform in `shop/web` of the source: its descriptor, with the digests of its layers. */
  readonly image: (layers: readonly Buffer[], foreign?: readonly Descriptor[]) => Descriptor;
  readonly index: (manifests: readonly Descriptor[]) => Descriptor;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Two registries, and a copy from `shop/web` to `mirror/web` of the last image made. */
async function world(
  options: { destination?: ScriptedRegistryOptions; client?: TestClientOptions } = {},
): Promise<World> {
  const source = await scriptedRegistry();
  const destination = await scriptedRegistry(options.destination);
  let last = '';
  function stored(body: Parameters<ScriptedRegistry['addManifest']>[1]): Descriptor {
    const descriptor = source.addManifest('shop/web', body);
    last = descriptor.digest;
    return descriptor;
  }
  return {
    source,
    destination,
    copy: (more = {}) =>
      imageCopy({
        source: { client: registryClient(source.url), repository: 'shop/web', digest: last },
        destination: { client: registryClient(destination.url, options.client), repository: 'mirror/web' },
        tags: ['v1'],
        signal: new AbortController().signal,
        ...more,
      }),
    image: (layers, foreign = []) => {
      const own = layers.map((bytes) => ({ mediaType: layerType, ...source.addBlob('shop/web', bytes) }));
      const config = { mediaType: configType, ...source.addBlob('shop/web', randomBytes(40)) };
      return stored({ mediaType: ociManifest, schemaVersion: 2, config, layers: [...own, ...foreign] });
    },
    index: (manifests) => stored({ mediaType: ociIndex, schemaVersion: 2, manifests }),
  };
}

function layers(...sizes: number[]): Buffer[] {
  return sizes.map((size) => randomBytes(size));
}

describe('a copy', () => {
  test('brings an index with all its platforms byte for byte, shared layers once, and the tag last', async () => {
    const { source, destination, copy, image, index } = await world();
    const [base, one, two] = layers(5_000, 3_000, 2_000);
    const platforms = [image([base!, one!]), image([base!, two!])];
    const { digest } = index(platforms);

    const result = await copy();
    expect(result).toEqual({ digest, bytes: 10_080, blobs: { copied: 5, mounted: 0, skipped: 0 }, manifests: 3 });
    const [from, to] = [source.repository('shop/web'), destination.repository('mirror/web')];
    expect(to.manifests).toEqual(from.manifests);
    expect(to.blobs).toEqual(from.blobs);
    expect(to.tags).toEqual(new Map([['v1', digest]]));

    const writes = destination.seen(/^PUT .*manifests/);
    expect(writes.slice(-2)).toEqual([`PUT /v2/mirror/web/manifests/${digest}`, 'PUT /v2/mirror/web/manifests/v1']);
    expect(destination.seen(/^(PUT|GET|HEAD)/).at(-1)).toBe('PUT /v2/mirror/web/manifests/v1');
    expect(destination.uploads.size).toBe(0);
  });

  test('of what is there asks by HEAD and sends nothing', async () => {
    const { source, destination, copy, image } = await world();
    const { digest } = image(layers(3_000, 2_000));
    await copy();
    source.requests.splice(0);
    destination.requests.splice(0);

    const result = await copy();
    expect(result).toEqual({ digest, bytes: 0, blobs: { copied: 0, mounted: 0, skipped: 3 }, manifests: 1 });
    expect(source.seen(/blobs/)).toEqual([]);
    expect(
      new Set(destination.requests.filter(({ path }) => !path.endsWith('/tags/list')).map(({ method }) => method)),
    ).toEqual(new Set(['HEAD']));
  });

  test('without tags leaves them to its caller', async () => {
    const { destination, copy, image } = await world();
    const { digest } = image(layers(10));
    await copy({ tags: [] });
    expect(destination.repository('mirror/web').tags.size).toBe(0);
    expect(destination.repository('mirror/web').manifests.has(digest)).toBe(true);
  });

  test('begins with the largest layer and reports how far it is', async () => {
    const { source, copy, image } = await world();
    const [small, large, middle] = layers(200_000, 900_000, 500_000);
    image([small!, large!, middle!]);
    const seen: CopyProgress[] = [];
    await copy({ onProgress: (progress) => seen.push(progress) });
    const opened = source.seen(/^GET .*blobs/).map((what) => what.split('/').at(-1));
    expect(opened.filter((digest) => [small, large, middle].some((bytes) => digestOf(bytes!) === digest))).toEqual(
      [large, middle, small].map((bytes) => digestOf(bytes!)),
    );
    expect(seen.at(-1)).toEqual({
      bytes: 1_600_040,
      bytesTotal: 1_600_040,
      blobs: { copied: 4, mounted: 0, skipped: 0 },
      blobsTotal: 4,
    });
  });

  test('mounts from repositories known to hold a layer, and from its own source within one registry', async () => {
    const { source, destination, copy, image } = await world();
    const [base, own] = layers(3_000, 2_000);
    image([base!, own!]);
    destination.addBlob('base/debian', base!);
    const known = await copy({ mountFrom: (digest) => (digest === digestOf(base!) ? ['base/debian'] : []) });
    expect(known.blobs).toEqual({ copied: 2, mounted: 1, skipped: 0 });

    const within = await copy({ destination: { client: registryClient(source.url), repository: 'backup/web' } });
    expect(within.blobs).toEqual({ copied: 0, mounted: 3, skipped: 0 });
    expect(within.bytes).toBe(0);
  });

  test('leaves foreign layers where they are', async () => {
    const { destination, copy, image } = await world();
    const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const foreign = { mediaType, digest: digestOf(Buffer.from('somewhere else')), size: 9 };
    image(layers(10), [foreign]);
    await expect(copy()).resolves.toMatchObject({ blobs: { copied: 2, mounted: 0, skipped: 0 } });
    expect(destination.requests.some(({ path }) => path.includes(foreign.digest))).toBe(false);
  });

  test('goes on after a failure without sending again what arrived', async () => {
    const { destination, copy, image } = await world();
    const [large, small] = layers(400_000, 200_000);
    image([large!, small!]);
    destination.rules.push({
      when: /^PUT .*manifests/,
      times: 1,
      answer: (response) => refuse(response, 403, 'DENIED'),
    });
    await expect(copy()).rejects.toThrow('DENIED');
    await expect(copy()).resolves.toMatchObject({ bytes: 0, blobs: { copied: 0, mounted: 0, skipped: 3 } });
  });

  test('asks beside the transfer where the repository is unknown, and drops what turns out to be there', async () => {
    const { source, destination, copy, image } = await world();
    const [there, missing] = layers(300_000, 200_000);
    const { digest } = image([there!, missing!]);
    destination.addBlob('mirror/web', there!);
    // The transfer of what is there stands still until the question beside it is answered.
    source.rules.push({ when: new RegExp(`^GET .*${digestOf(there!)}`), answer: () => undefined });
    const result = await copy();
    expect(result).toMatchObject({ digest, bytes: 200_040, blobs: { copied: 2, mounted: 0, skipped: 1 } });
    expect(destination.uploads.size).toBe(0);
  });

  test('slows down and still ends when the destination pushes back', async () => {
    const { destination, copy, image } = await world();
    image(layers(200_000, 200_001, 200_002, 200_003, 200_004, 200_005));
    destination.rules.push({
      when: /^POST/,
      times: 4,
      answer: (response) => refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '0' }),
    });
    await expect(copy()).resolves.toMatchObject({ blobs: { copied: 7 } });
  });

  test('holds the bandwidth it was given', async () => {
    const { copy, image } = await world();
    image(layers(200_000));
    const start = performance.now();
    await copy({ bandwidthKiBs: 1_000 });
    expect(performance.now() - start).toBeGreaterThan(60);
  });

  test('that is canceled ends with the reason of its caller and leaves no upload open', async () => {
    const { destination, copy, image } = await world();
    image(layers(400_000, 300_000));
    const controller = new AbortController();
    destination.rules.push({ when: /^PUT/, answer: () => controller.abort(new Error('the run was canceled')) });
    await expect(copy({ signal: controller.signal })).rejects.toThrow('the run was canceled');
    expect(destination.uploads.size).toBe(0);
    expect(destination.repository('mirror/web').tags.size).toBe(0);
  });
});

describe('a tag at the destination', () => {
  test('that points elsewhere is moved, unless the rule forbids it', async () => {
    const { destination, copy, image } = await world();
    image(layers(10));
    const old = destination.addManifest('mirror/web', { mediaType: ociManifest }, 'v1');
    const failure = await failureOf(copy({ isOverrideAllowed: false }));
    expect(failure).toMatchObject({ issue: 'tag_conflict', isPermanent: true });
    expect(failure.message).toContain(`${destination.host}/mirror/web:v1 points to ${old.digest}`);
    expect(destination.seen(/^(POST|PUT)/)).toEqual([]);

    const { digest } = await copy();
    expect(destination.repository('mirror/web').tags.get('v1')).toBe(digest);
  });

  test('that points there already is no conflict and is not written', async () => {
    const { destination, copy, image } = await world();
    image(layers(10));
    await copy();
    destination.requests.splice(0);
    await copy({ isOverrideAllowed: false });
    expect(destination.seen(/^PUT/)).toEqual([]);
  });
});

describe('a destination that lies', () => {
  test('about a mount gets the blob by upload', async () => {
    const { destination, copy, image } = await world();
    const [layer] = layers(5_000);
    image([layer!]);
    destination.rules.push({ when: /^POST .*mount=/, answer: (response) => void response.writeHead(201).end() });
    const result = await copy({ mountFrom: () => ['base/debian'] });
    expect(destination.repository('mirror/web').blobs.get(digestOf(layer!))?.equals(layer!)).toBe(true);
    expect(result.blobs.copied).toBe(2);
  });

  test('about an upload, twice, ends in verify_failed and moves no tag', async () => {
    const { destination, copy, image } = await world();
    image(layers(5_000));
    destination.rules.push(
      {
        when: /^PUT .*<id>/,
        answer: async (response, _request, body) => {
          for await (const chunk of body) void chunk;
          response.writeHead(201).end();
        },
      },
      { when: /^PUT .*manifests/, answer: (response) => void response.writeHead(201).end() },
    );
    expect(await failureOf(copy())).toMatchObject({ issue: 'verify_failed', isPermanent: true });
    expect(destination.seen(/manifests\/v1$/).filter((what) => what.startsWith('PUT'))).toEqual([]);
  });

  test('about a manifest ends in verify_failed', async () => {
    const { destination, copy, image } = await world();
    image(layers(5_000));
    destination.rules.push({ when: /^PUT .*manifests/, answer: (response) => void response.writeHead(201).end() });
    const failure = await failureOf(copy());
    expect(failure.issue).toBe('verify_failed');
    expect(failure.message).toContain('reading it back failed. Nothing was tagged.');
  });
});

describe('a source that lies', () => {
  test('about the size of a child is refused', async () => {
    const { copy, image, index } = await world();
    const child = image(layers(10));
    index([{ ...child, size: child.size + 1 }]);
    expect(await failureOf(copy())).toMatchObject({ issue: 'data_length_exceeded' });
  });

  test('about the size of a layer is refused, and nothing is tagged', async () => {
    const { source, destination, copy } = await world();
    const blob = source.addBlob('shop/web', randomBytes(200_000));
    const config = { mediaType: configType, ...source.addBlob('shop/web', randomBytes(3)) };
    const body = {
      mediaType: ociManifest,
      schemaVersion: 2,
      config,
      layers: [{ mediaType: layerType, ...blob, size: 100_000 }],
    };
    const { digest } = source.addManifest('shop/web', body);
    const failure = await failureOf(
      copy({ source: { client: registryClient(source.url), repository: 'shop/web', digest } }),
    );
    expect(failure).toMatchObject({ issue: 'data_length_exceeded', isPermanent: true });
    expect(destination.repository('mirror/web').tags.size).toBe(0);
    expect(destination.uploads.size).toBe(0);
  });

  test('with indexes inside indexes past a depth of 4 is refused', async () => {
    const { copy, image, index } = await world();
    let nested = image(layers(10));
    for (let depth = 0; depth < 3; depth += 1) nested = index([nested]);
    await expect(copy({ tags: [] })).resolves.toMatchObject({ manifests: 4 });
    index([nested]);
    const failure = await failureOf(copy());
    expect(failure).toMatchObject({ issue: 'unsupported_format', isPermanent: true });
    expect(failure.message).toContain('nested more than 4 deep');
  });
});
