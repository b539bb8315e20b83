import { describe, expect, test } from 'vitest';
import { indexBuild } from '../../domain/image-index.ts';
import {
  isForeignLayer,
  ManifestRefused,
  manifestMediaTypes,
  parseManifest,
  type Descriptor,
} from '../../domain/image-manifest.ts';

const { ociIndex, ociManifest, dockerManifest } = manifestMediaTypes;
const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('c'), size: 2 };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digestOf('d'), size: 5 };

function bytes(body: unknown): Uint8Array {
  return new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
}

describe('a manifest', () => {
  test('of one image gives its config, layers and subject, and keeps fields it does not know', () => {
    const body = { schemaVersion: 2, mediaType: ociManifest, config, layers: [layer], subject: layer, 'x-own': 1 };
    expect(parseManifest({ mediaType: ociManifest, bytes: bytes(body) })).toEqual({ kind: 'image', ...body });
  });

  test('without a media type of its own takes the one of the header', () => {
    const read = parseManifest({ mediaType: dockerManifest, bytes: bytes({ schemaVersion: 2, config, layers: [] }) });
    expect(read.kind).toBe('image');
  });

  test('of several platforms gives its children', () => {
    const child = {
      mediaType: ociManifest,
      digest: digestOf('a'),
      size: 7,
      platform: { os: 'linux', architecture: 'arm64' },
    };
    expect(
      parseManifest({ mediaType: ociIndex, bytes: bytes({ schemaVersion: 2, manifests: [child] }) }),
    ).toMatchObject({
      kind: 'index',
      manifests: [child],
    });
  });

  test.for<[string, string, unknown, string]>([
    ['schema 1', ociManifest, { schemaVersion: 1, config, layers: [] }, 'schema 1'],
    [
      'signed schema 1',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      {},
      'not a manifest type we carry',
    ],
    ['an unknown type', 'text/html', '<html>', 'not a manifest type we carry'],
    ['children beside layers', ociManifest, { schemaVersion: 2, config, layers: [], manifests: [] }, 'two ways'],
    ['layers in an index', ociIndex, { schemaVersion: 2, manifests: [], layers: [] }, 'two ways'],
    [
      'a body of another type',
      ociManifest,
      { schemaVersion: 2, mediaType: ociIndex, config, layers: [] },
      'calls itself',
    ],
    ['a negative size', ociManifest, { schemaVersion: 2, config, layers: [{ ...layer, size: -1 }] }, 'layers.0.size'],
    [
      'a size that is no whole number',
      ociManifest,
      { schemaVersion: 2, config, layers: [{ ...layer, size: 1.5 }] },
      'layers.0.size',
    ],
    [
      'a digest that climbs',
      ociManifest,
      { schemaVersion: 2, config: { ...config, digest: '../x' }, layers: [] },
      'config.digest',
    ],
    ['a missing config', ociManifest, { schemaVersion: 2, layers: [] }, 'config'],
    ['a list', ociManifest, [], 'not a JSON object'],
    ['cut JSON', ociManifest, '{"schemaVersion": 2', 'not a JSON object'],
  ])('is refused: %s', ([, mediaType, body, sentence]) => {
    const read = () => parseManifest({ mediaType, bytes: bytes(body) });
    expect(read).toThrow(ManifestRefused);
    expect(read).toThrow(sentence);
  });
});

test('foreign layers are told apart by their media type', () => {
  expect(isForeignLayer({ ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' })).toBe(
    true,
  );
  expect(isForeignLayer({ ...layer, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar' })).toBe(true);
  expect(isForeignLayer(layer)).toBe(false);
});

describe('an index built by us', () => {
  const arm: Descriptor = {
    mediaType: ociManifest,
    digest: digestOf('b'),
    size: 8,
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  };
  const amd: Descriptor = {
    mediaType: ociManifest,
    digest: digestOf('a'),
    size: 7,
    platform: { architecture: 'amd64', os: 'linux' },
  };

  test('has exactly these bytes', () => {
    expect(new TextDecoder().decode(indexBuild([arm, amd], { annotations: { b: '2', a: '1' } }))).toBe(
      `{"schemaVersion":2,"mediaType":"${ociIndex}","manifests":[` +
        `{"mediaType":"${ociManifest}","digest":"${digestOf('a')}","size":7,"platform":{"architecture":"amd64","os":"linux"}},` +
        `{"mediaType":"${ociManifest}","digest":"${digestOf('b')}","size":8,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}` +
        `],"annotations":{"a":"1","b":"2"}}`,
    );
  });

  test('does not depend on the order of its parts', () => {
    expect(indexBuild([amd, arm])).toEqual(indexBuild([arm, amd]));
  });

  test('is read back as what it was built from', () => {
    const read = parseManifest({ mediaType: ociIndex, bytes: indexBuild([amd, { ...arm, artifactType: 'a/b' }]) });
    expect(read.kind === 'index' ? read.manifests : []).toEqual([amd, { ...arm, artifactType: 'a/b' }]);
  });
});
