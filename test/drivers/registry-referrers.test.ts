import { describe, expect, test } from 'vitest';
import { imageCopy } from '../../activities/drivers/registry-copy.ts';
import { manifestMediaTypes } from '../../domain/image-manifest.ts';
import { failureOf, registryClient, scriptedRegistry } from '../support/registry-client.ts';
import { digestOf, type ScriptedRegistry } from '../support/scripted-registry.ts';

const { ociIndex, ociManifest } = manifestMediaTypes;
const signal = new AbortController().signal;
const signatureType = 'application/vnd.example.signature';

interface Subject {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

function image(registry: ScriptedRegistry, repository: string): Subject {
  const config = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    ...registry.addBlob(repository, Buffer.from('{}')),
  };
  return registry.addManifest(repository, { mediaType: ociManifest, schemaVersion: 2, config, layers: [] });
}

/** A manifest that refers to `subject`, with one blob of its own. */
function referrer(
  registry: ScriptedRegistry,
  repository: string,
  { subject, text, artifactType = signatureType }: { subject: Subject; text: string; artifactType?: string },
) {
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', ...registry.addBlob(repository, Buffer.from('{}')) };
  const layers = [{ mediaType: 'text/plain', ...registry.addBlob(repository, Buffer.from(text)) }];
  const annotations = { text };
  return { mediaType: ociManifest, schemaVersion: 2, artifactType, config, layers, subject, annotations };
}

function bytesOf(body: unknown): Buffer {
  return Buffer.from(JSON.stringify(body));
}

describe('a registry without the referrers API', () => {
  test('lists what is under the fallback tag, and nothing when there is none', async () => {
    const registry = await scriptedRegistry();
    const subject = image(registry, 'shop/web');
    const client = registryClient(registry.url);
    await expect(client.referrers('shop/web', subject.digest, { signal })).resolves.toEqual([]);

    const sbom = { ...subject, artifactType: 'application/spdx+json' };
    const signature = { ...subject, artifactType: signatureType };
    registry.addManifest(
      'shop/web',
      { mediaType: ociIndex, schemaVersion: 2, manifests: [sbom, signature] },
      subject.digest.replace(':', '-'),
    );
    await expect(client.referrers('shop/web', subject.digest, { signal })).resolves.toEqual([sbom, signature]);
    await expect(
      client.referrers('shop/web', subject.digest, { artifactType: signatureType, signal }),
    ).resolves.toEqual([signature]);
    expect(registry.seen(/referrers/).length).toBe(1);
  });

  test('gets every referrer under the fallback tag, also of writers at the same time', async () => {
    const registry = await scriptedRegistry();
    const subject = image(registry, 'shop/web');
    const client = registryClient(registry.url);
    const texts = ['one', 'two', 'three', 'four'];
    const digests = await Promise.all(
      texts.map((text) => {
        const bytes = bytesOf(referrer(registry, 'shop/web', { subject, text }));
        return client.manifestPut('shop/web', digestOf(bytes), { mediaType: ociManifest, bytes, signal });
      }),
    );
    const listed = await client.referrers('shop/web', subject.digest, { signal });
    expect(new Set(listed.map(({ digest }) => digest))).toEqual(new Set(digests));
    expect(listed[0]).toMatchObject({ artifactType: signatureType, mediaType: ociManifest });
    expect(new Set(listed.map(({ annotations }) => annotations?.['text']))).toEqual(new Set(texts));
  });

  test('that loses an entry to another writer gets it again', async () => {
    const registry = await scriptedRegistry();
    const subject = image(registry, 'shop/web');
    const fallback = subject.digest.replace(':', '-');
    registry.rules.push({
      when: new RegExp(`^PUT .*${fallback}`),
      times: 1,
      answer: (response) => void response.writeHead(201).end(),
    });
    const client = registryClient(registry.url);
    const bytes = bytesOf(referrer(registry, 'shop/web', { subject, text: 'signature' }));
    await client.manifestPut('shop/web', digestOf(bytes), { mediaType: ociManifest, bytes, signal });
    expect((await client.referrers('shop/web', subject.digest, { signal })).map(({ digest }) => digest)).toEqual([
      digestOf(bytes),
    ]);
    expect(registry.seen(new RegExp(`^PUT .*${fallback}`)).length).toBe(2);
  });

  test('that keeps losing entries is an error, not a loop', async () => {
    const registry = await scriptedRegistry();
    const subject = image(registry, 'shop/web');
    registry.rules.push({ when: /^PUT .*sha256-/, answer: (response) => void response.writeHead(201).end() });
    const bytes = bytesOf(referrer(registry, 'shop/web', { subject, text: 'signature' }));
    const put = registryClient(registry.url).manifestPut('shop/web', digestOf(bytes), {
      mediaType: ociManifest,
      bytes,
      signal,
    });
    expect((await failureOf(put)).message).toContain('keeps losing the referrer');
  });
});

test('a registry with the referrers API is asked there, and no fallback tag is written', async () => {
  const registry = await scriptedRegistry({ hasReferrersApi: true });
  const subject = image(registry, 'shop/web');
  const client = registryClient(registry.url);
  const bytes = bytesOf(referrer(registry, 'shop/web', { subject, text: 'signature' }));
  await client.manifestPut('shop/web', digestOf(bytes), { mediaType: ociManifest, bytes, signal });
  const listed = await client.referrers('shop/web', subject.digest, { signal });
  expect(listed).toEqual([
    { mediaType: ociManifest, digest: digestOf(bytes), size: bytes.length, artifactType: signatureType },
  ]);
  expect(registry.repository('shop/web').tags.size).toBe(0);
});

describe('a copy carries referrers', () => {
  test.for([
    ['from a registry with the API to one without', true, false],
    ['from a registry without the API to one with it', false, true],
    ['between registries without it', false, false],
  ] as const)('%s, and what refers to them', async ([, fromApi, toApi]) => {
    const from = await scriptedRegistry({ hasReferrersApi: fromApi });
    const to = await scriptedRegistry({ hasReferrersApi: toApi });
    const [source, destination] = [registryClient(from.url), registryClient(to.url)];
    const subject = image(from, 'shop/web');
    const sbom = bytesOf(referrer(from, 'shop/web', { subject, text: 'sbom', artifactType: 'application/spdx+json' }));
    await source.manifestPut('shop/web', digestOf(sbom), { mediaType: ociManifest, bytes: sbom, signal });
    const sbomSubject = { mediaType: ociManifest, digest: digestOf(sbom), size: sbom.length };
    const signature = bytesOf(referrer(from, 'shop/web', { subject: sbomSubject, text: 'signature of the sbom' }));
    await source.manifestPut('shop/web', digestOf(signature), { mediaType: ociManifest, bytes: signature, signal });

    const copy = {
      source: { client: source, repository: 'shop/web', digest: subject.digest },
      destination: { client: destination, repository: 'mirror/web' },
      tags: ['v1'],
      signal,
    };
    await expect(imageCopy(copy)).resolves.toMatchObject({ manifests: 3, blobs: { copied: 3 } });
    const listed = await destination.referrers('mirror/web', subject.digest, { signal });
    expect(listed.map(({ digest }) => digest)).toEqual([digestOf(sbom)]);
    const ofSbom = await destination.referrers('mirror/web', digestOf(sbom), { signal });
    expect(ofSbom.map(({ digest }) => digest)).toEqual([digestOf(signature)]);

    to.requests.splice(0);
    await expect(imageCopy(copy)).resolves.toMatchObject({ bytes: 0 });
    expect(to.seen(/^(PUT|POST|PATCH)/)).toEqual([]);
  });

  test('a listed referrer that is gone is left out', async () => {
    const from = await scriptedRegistry();
    const to = await scriptedRegistry();
    const subject = image(from, 'shop/web');
    const gone = { mediaType: ociManifest, digest: digestOf(Buffer.from('gone')), size: 4 };
    from.addManifest(
      'shop/web',
      { mediaType: ociIndex, schemaVersion: 2, manifests: [gone] },
      subject.digest.replace(':', '-'),
    );
    const result = await imageCopy({
      source: { client: registryClient(from.url), repository: 'shop/web', digest: subject.digest },
      destination: { client: registryClient(to.url), repository: 'mirror/web' },
      tags: [],
      signal,
    });
    expect(result.manifests).toBe(1);
  });

  test('referrers lists that name each other in a circle are refused', async () => {
    const from = await scriptedRegistry();
    const subject = image(from, 'shop/web');
    const loop = { schemaVersion: 2, manifests: [subject] };
    from.addManifest('shop/web', { mediaType: ociIndex, ...loop }, subject.digest.replace(':', '-'));
    const failure = await failureOf(
      imageCopy({
        source: { client: registryClient(from.url), repository: 'shop/web', digest: subject.digest },
        destination: { client: registryClient(from.url), repository: 'mirror/web' },
        tags: [],
        signal,
      }),
    );
    expect(failure).toMatchObject({ issue: 'unsupported_format', isPermanent: true });
    expect(failure.message).toContain('it contains itself');
  });
});
